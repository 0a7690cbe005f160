"""The users that locust simulates for `make load`: nine reads to one write.

Settings come from the environment: LOAD_API_KEY, LOAD_RATE (requests a second of one user; 0 for no
pauses), LOAD_RESULT (the file for the measurements).
"""

import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant, constant_throughput, events, task
from locust.env import Environment

from tests.support.workload import SHARES, new_product

_API_KEY = os.environ["LOAD_API_KEY"]
_RATE = float(os.environ["LOAD_RATE"])
_STATUSES: Counter[int] = Counter()
_FIRST_PAGE = 50


class PortalUser(FastHttpUser):
    """A client that mostly reads, and sometimes writes as an admin does."""

    wait_time = constant_throughput(_RATE) if _RATE else constant(0)

    def on_start(self) -> None:
        """Read the ids of the products."""
        page = self.client.get("/products", name="list").json()
        self.product_ids = [product["productId"] for product in page["products"]]
        self.created: list[str] = []

    @task(SHARES["get"])
    def get(self) -> None:
        """Read a product."""
        self.client.get(f"/products/{random.choice(self.product_ids)}", name="get")  # noqa: S311

    @task(SHARES["list"])
    def list_page(self) -> None:
        """Read a page."""
        self.client.get(f"/products?limit={_FIRST_PAGE}", name="list")

    @task(SHARES["create"])
    def create(self) -> None:
        """Create a product."""
        response = self.client.post(
            "/products", json=new_product(), headers={"x-api-key": _API_KEY}, name="create"
        )
        if response.ok:
            self.created.append(response.json()["productId"])

    @task(SHARES["update"])
    def update(self) -> None:
        """Change a product."""
        self.client.put(
            f"/products/{random.choice(self.product_ids)}",  # noqa: S311 (no secret)
            json={"price": random.randint(1, 99_999) / 100},  # noqa: S311 (no secret)
            headers={"x-api-key": _API_KEY},
            name="update",
        )

    @task(SHARES["delete"])
    def delete(self) -> None:
        """Delete a product that this user created; without one, read instead."""
        if self.created:
            path = f"/products/{self.created.pop()}"
            self.client.delete(path, headers={"x-api-key": _API_KEY}, name="delete")
        else:
            self.get()


@events.request.add_listener
def _count(response: Any = None, **_: object) -> None:  # noqa: ANN401 (locust's)
    _STATUSES[response.status_code if response is not None else 0] += 1


@events.quitting.add_listener
def _write_result(environment: Environment, **_: object) -> None:
    total = environment.stats.total
    result = {
        "requests": total.num_requests,
        "per_second": total.total_rps,
        "failures": total.num_failures,
        "milliseconds": {
            percent: total.get_response_time_percentile(percent / 100) for percent in (50, 95, 99)
        },
        "statuses": _STATUSES,
        "cpu_seconds": time.process_time(),
    }
    Path(os.environ["LOAD_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
