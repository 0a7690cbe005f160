"""The zips of the functions, imported as Lambda does, without packages of this environment."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

import package_lambdas
from product_tools import packages
from product_tools.functions import EVENT_FUNCTIONS
from product_tools.repository import REPOSITORY

pytestmark = pytest.mark.timeout(600)  # seconds; the first test of each kind installs packages

READS = ["delete_product", "get_product", "list_products"]  # these take no body
WRITES = ["create_product", "update_product"]
HANDLERS = sorted(READS + WRITES)
EVENTS = sorted(EVENT_FUNCTIONS)
FUNCTIONS = sorted(HANDLERS + EVENTS)
RUNTIME = ("botocore", "jmespath", "python-dateutil", "six", "urllib3")
"""What Lambda's runtime adds to the standard library, as far as the functions use it."""
EVENT_ENVIRONMENT = {
    "AUDIT_BUCKET": "bbws-product-audit-logs-dev",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_REGION": "eu-west-1",
    "AWS_SECRET_ACCESS_KEY": "local",
    "DISTRIBUTION_ID": "E2TEST",
    "EVENT_BUS_NAME": "bbws-product-events-dev",
    "INVALIDATION_PATHS": "/v1.0/products*",
    "OPENSEARCH_ENDPOINT": "http://127.0.0.1:9",
    "PARKED_QUEUE_URL": "http://127.0.0.1:9/000000000000/bbws-product-parked-dev",
    "TABLE_NAME": "products-dev",
}
EVENT_BATCHES: dict[str, list[dict[str, str]]] = {
    "audit_logger": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}],
    "cache_invalidator": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}],
    "change_publisher": [],
    "product_creator": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}],
    "search_indexer": [{"messageId": "1", "body": "{}"}],
}
"""For each function a batch that makes it call no service."""
WITHOUT_EXTENSIONS = {"audit_logger", "cache_invalidator"}
"""Functions whose packages are Python only."""
ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64"}
ELF_MACHINES = {"arm64": 183, "x86_64": 62}  # e_machine in the ELF specification

# Imports the handler from the unpacked zip, with only the standard library beside it. The handler
# gets an invalid request, so that it also logs.
PROBE = """
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
module = __import__(sys.argv[2], fromlist=["handler"])
assert module.handler({"queryStringParameters": {"limit": "0"}}, None)["statusCode"] == 400
loaded = list(sys.modules.values())
print(json.dumps({
    "modules": sorted(sys.modules),
    "files": [file for module in loaded if (file := getattr(module, "__file__", None))],
    "bytecode": [file for module in loaded if (file := getattr(module, "__cached__", None))],
}))
"""

# Imports the function from the unpacked zip, with the standard library and the packages of Lambda's
# runtime beside it. The function gets a batch.
EVENT_PROBE = """
import json, sys
from types import SimpleNamespace
sys.dont_write_bytecode = True
sys.path[:0] = [sys.argv[1], sys.argv[3]]
module = __import__(sys.argv[2], fromlist=["handler"])
batch = {"Records": json.loads(sys.argv[4])}
module.handler(batch, SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000))
loaded = list(sys.modules.values())
print(json.dumps({
    "modules": sorted(sys.modules),
    "files": [file for module in loaded if (file := getattr(module, "__file__", None))],
    "bytecode": [file for module in loaded if (file := getattr(module, "__cached__", None))],
}))
"""


class Imported(NamedTuple):
    """The modules of an interpreter after the first response of a handler."""

    modules: list[str]
    files: list[str]
    bytecode: list[str]

    @property
    def packages(self) -> set[str]:
        return {name.partition(".")[0] for name in self.modules}


def build_zips(out: Path, arch: str) -> None:
    """Build the zips with the command."""
    command = [str(REPOSITORY / "scripts/package_lambdas.sh"), "--arch", arch, "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)


class Checkout(NamedTuple):
    """A copy of the sources and the unpacked packages, with current zips in `out`."""

    folder: Path
    arch: str

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def change(self, module: str) -> None:
        """Add a line to a module of the functions."""
        with (self.folder / "src" / "product_lambda" / module).open("a") as source:
            source.write("# a change\n")

    @property
    def kept(self) -> Path:
        """The folder with the zips of earlier builds."""
        return self.folder / packages.CACHE.relative_to(REPOSITORY) / packages.KEPT

    def build(self) -> dict[str, list[str]]:
        """Build, and return the names of the zips by what the build did with them."""
        script = self.folder / "scripts" / "package_lambdas.py"
        # Without coverage, which would count the copied sources as untested.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")
        }
        completed = subprocess.run(
            [sys.executable, script, "--arch", self.arch, "--out", self.out],
            env={**environment, "PYTHONPATH": str(self.folder / "src")},
            check=True,
            capture_output=True,
            text=True,
        )
        return zips_in(completed.stdout)


def zips_in(output: str) -> dict[str, list[str]]:
    """Return the names of the zips by what a build did with them, from its output."""
    lines = re.findall(r"^(\w+)\.zip .* (\w+)$", output, re.MULTILINE)
    assert [name for name, _ in lines] == FUNCTIONS
    zips: dict[str, list[str]] = {"built": [], "copied": [], "unchanged": []}
    for name, state in lines:
        zips[state].append(name)
    return zips


@pytest.fixture(scope="module")
def host_arch() -> str:
    return ARCHITECTURES[platform.machine()]


@pytest.fixture(scope="module")
def host_zips(tmp_path_factory: pytest.TempPathFactory, host_arch: str) -> Path:
    out = tmp_path_factory.mktemp("host")
    build_zips(out, host_arch)
    return out


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory, host_zips: Path) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    for function in FUNCTIONS:
        with zipfile.ZipFile(host_zips / f"{function}.zip") as archive:
            archive.extractall(folder / function)
    return folder


@pytest.fixture(scope="module")
def arm64_zips(tmp_path_factory: pytest.TempPathFactory, host_zips: Path, host_arch: str) -> Path:
    """The zips for arm64, built in a folder that has the zips of this machine."""
    if host_arch == "arm64":
        return host_zips
    out = tmp_path_factory.mktemp("arm64") / "zips"
    shutil.copytree(host_zips, out)
    build_zips(out, "arm64")
    return out


@pytest.fixture
def checkout(tmp_path: Path, host_zips: Path, host_arch: str) -> Checkout:
    folder = tmp_path / "checkout"
    for name in ("scripts", "src"):
        shutil.copytree(REPOSITORY / name, folder / name)
    shutil.copy(REPOSITORY / "requirements.txt", folder)
    cache = packages.CACHE.relative_to(REPOSITORY)
    # Others may be writing a file whose name begins or ends like this.
    unfinished = shutil.ignore_patterns("tmp*", "*.part")
    shutil.copytree(packages.CACHE, folder / cache, copy_function=os.link, ignore=unfinished)
    shutil.copytree(host_zips, folder / "out")
    return Checkout(folder, host_arch)


def imported_by(handler: str, folder: Path) -> Imported:
    # The base interpreter, not the one of the virtual environment.
    bare_python: str = sys._base_executable  # type: ignore[attr-defined]
    module = f"product_lambda.handlers.{handler}"
    completed = subprocess.run(
        [bare_python, "-I", "-S", "-c", PROBE, folder, module],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_REGION": "eu-west-1",
            "AWS_SECRET_ACCESS_KEY": "local",
            "CORS_ALLOWED_ORIGINS": "https://kimmyai.io",
            "TABLE_NAME": "products-dev",
        },
    )
    return Imported(**json.loads(completed.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def imported(unpacked: Path) -> dict[str, Imported]:
    return {handler: imported_by(handler, unpacked / handler) for handler in HANDLERS}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of Lambda's runtime, without the other packages of this environment."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {".."}:
            (folder / top).symlink_to(str(distribution.locate_file(top)))
    return folder


@pytest.fixture(scope="module")
def imported_events(unpacked: Path, runtime: Path) -> dict[str, Imported]:
    return {function: imported_event(function, unpacked / function, runtime) for function in EVENTS}


def imported_event(function: str, folder: Path, runtime: Path) -> Imported:
    bare_python: str = sys._base_executable  # type: ignore[attr-defined]
    module = f"product_lambda.event_handlers.{function}"
    batch = json.dumps(EVENT_BATCHES[function])
    completed = subprocess.run(
        [bare_python, "-I", "-S", "-c", EVENT_PROBE, folder, module, runtime, batch],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
        env=EVENT_ENVIRONMENT,
    )
    return Imported(**json.loads(completed.stdout.splitlines()[-1]))


def entries(zips: Path, handler: str) -> list[str]:
    with zipfile.ZipFile(zips / f"{handler}.zip") as archive:
        return archive.namelist()


@pytest.mark.parametrize("handler", HANDLERS)
def test_handler_imports_only_its_zip_and_standard_library(
    unpacked: Path, imported: dict[str, Imported], handler: str
) -> None:
    foreign = [
        file
        for file in imported[handler].files
        if not Path(file).is_relative_to(unpacked / handler)
        and ("site-packages" in file or Path(file).is_relative_to(REPOSITORY))
    ]
    assert foreign == []
    assert "pydynox" in imported[handler].packages


@pytest.mark.parametrize("handler", READS)
def test_read_function_imports_neither_pydantic_nor_boto3(
    imported: dict[str, Imported], handler: str
) -> None:
    forbidden = {"pydantic", "pydantic_core", "boto3", "botocore"}

    assert not forbidden & imported[handler].packages


@pytest.mark.parametrize("handler", HANDLERS)
def test_handler_does_not_execute_asyncio(imported: dict[str, Imported], handler: str) -> None:
    assert "asyncio" in imported[handler].modules
    assert "asyncio.events" not in imported[handler].modules


@pytest.mark.parametrize("handler", READS)
def test_read_zip_has_no_request_models(host_zips: Path, handler: str) -> None:
    names = entries(host_zips, handler)

    assert "product_lambda/models/requests.py" not in names
    assert not [name for name in names if name.startswith(("pydantic", "boto"))]


@pytest.mark.parametrize("handler", WRITES)
def test_write_function_imports_pydantic_but_not_boto3(
    imported: dict[str, Imported], handler: str
) -> None:
    assert "pydantic" in imported[handler].packages
    assert not {"boto3", "botocore"} & imported[handler].packages


@pytest.mark.parametrize("handler", HANDLERS)
def test_modules_are_loaded_from_bytecode(
    unpacked: Path, imported: dict[str, Imported], handler: str
) -> None:
    files = [file for file in imported[handler].bytecode if Path(file).is_relative_to(unpacked)]
    assert files
    assert [file for file in files if not Path(file).is_file()] == []


@pytest.mark.parametrize("handler", FUNCTIONS)
def test_bytecode_is_not_checked_against_source(unpacked: Path, handler: str) -> None:
    flags = {
        int.from_bytes(file.read_bytes()[4:8], "little")
        for file in (unpacked / handler).rglob("*.pyc")
    }

    assert flags == {0b01}  # PEP 552: by hash, unchecked


def test_each_function_has_a_zip(host_zips: Path) -> None:
    assert sorted(path.name for path in host_zips.iterdir()) == sorted(
        ["SHA256SUMS", *(f"{function}.zip" for function in FUNCTIONS)]
    )


@pytest.mark.parametrize("function", EVENTS)
def test_event_function_imports_only_its_zip_and_runtime(
    unpacked: Path, runtime: Path, imported_events: dict[str, Imported], function: str
) -> None:
    foreign = [
        file
        for file in imported_events[function].files
        if not Path(file).is_relative_to(unpacked / function)
        and not Path(file).is_relative_to(runtime)
        and ("site-packages" in file or Path(file).is_relative_to(REPOSITORY))
    ]
    assert foreign == []


@pytest.mark.parametrize("function", EVENTS)
def test_event_function_gets_botocore_from_runtime(
    runtime: Path, host_zips: Path, imported_events: dict[str, Imported], function: str
) -> None:
    files = imported_events[function].files

    assert [file for file in files if Path(file).is_relative_to(runtime / "botocore")]
    assert not [name for name in entries(host_zips, function) if name.startswith("boto")]


def test_change_publisher_imports_no_package_of_the_api(
    imported_events: dict[str, Imported],
) -> None:
    forbidden = {"aws_lambda_powertools", "boto3", "pydantic", "pydynox"}

    assert not forbidden & imported_events["change_publisher"].packages


def test_audit_logger_imports_powertools_from_its_zip(
    host_zips: Path, imported_events: dict[str, Imported]
) -> None:
    assert "aws_lambda_powertools" in imported_events["audit_logger"].packages
    assert not {"boto3", "pydantic", "pydynox"} & imported_events["audit_logger"].packages
    assert "aws_lambda_powertools/__init__.pyc" in entries(host_zips, "audit_logger")


def test_product_creator_imports_packages_from_its_zip(
    host_zips: Path, imported_events: dict[str, Imported]
) -> None:
    imported = imported_events["product_creator"].packages

    assert {"aws_lambda_powertools", "pydantic", "pydynox"} <= imported
    assert "product_lambda/repositories/queues.pyc" not in entries(host_zips, "product_creator")


def test_only_zip_of_search_indexer_has_opensearch(host_zips: Path) -> None:
    with_client = {
        function
        for function in FUNCTIONS
        if any(name.startswith("opensearchpy/") for name in entries(host_zips, function))
    }
    assert with_client == {"search_indexer"}


@pytest.mark.parametrize("handler", HANDLERS)
def test_zip_of_api_has_nothing_of_event_functions(host_zips: Path, handler: str) -> None:
    names = entries(host_zips, handler)

    assert not [name for name in names if name.startswith("aws_lambda_powertools")]
    assert not [name for name in names if name.startswith("product_lambda/event_handlers/")]


@pytest.mark.parametrize("handler", HANDLERS)
def test_handler_loads_nothing_of_event_functions(
    imported: dict[str, Imported], handler: str
) -> None:
    assert not {"aws_lambda_powertools", "boto3", "botocore"} & imported[handler].packages


@pytest.mark.parametrize("function", EVENTS)
def test_zip_of_event_function_has_no_handler_of_api(host_zips: Path, function: str) -> None:
    own = f"product_lambda/event_handlers/{function}.py"
    others = {f"product_lambda/event_handlers/{other}.py" for other in EVENTS} - {own}

    names = entries(host_zips, function)

    assert own in names
    assert not others & set(names)
    assert not [name for name in names if name.startswith("product_lambda/handlers/")]


@pytest.mark.parametrize("handler", HANDLERS)
def test_zip_has_no_other_handler(host_zips: Path, handler: str) -> None:
    others = {f"product_lambda/handlers/{other}.py" for other in HANDLERS if other != handler}

    names = entries(host_zips, handler)

    assert f"product_lambda/handlers/{handler}.py" in names
    assert not others & set(names)


@pytest.mark.parametrize("handler", FUNCTIONS)
def test_zip_has_no_unused_files(host_zips: Path, handler: str) -> None:
    forbidden = [
        name
        for name in entries(host_zips, handler)
        if "/tests/" in name
        or name.endswith((".pyi", "/RECORD", "/WHEEL"))
        or ("__pycache__" in name and not name.endswith(".cpython-312.pyc"))
        or name.startswith(("local/", "scripts/", "tests/", "bin/"))
    ]

    assert forbidden == []


@pytest.mark.parametrize("pattern", packages.UNUSED)
def test_each_pattern_of_unused_files_matches(
    host_zips: Path, host_arch: str, pattern: str
) -> None:
    assert host_zips.exists()  # the packages are unpacked
    unpacked = packages.fetch_packages(host_arch)
    files = [
        str(path)
        for distribution in importlib.metadata.distributions(path=[str(unpacked)])
        for path in distribution.files or ()
    ]

    assert any(fnmatchcase(file, pattern) for file in files)


@pytest.mark.parametrize("handler", HANDLERS)
def test_zip_is_small(host_zips: Path, arm64_zips: Path, handler: str) -> None:
    limit = 8_000_000 if handler in READS else 10_000_000

    for zips in (host_zips, arm64_zips):
        assert (zips / f"{handler}.zip").stat().st_size <= limit


@pytest.mark.parametrize("function", EVENTS)
def test_zip_of_event_function_is_small(host_zips: Path, arm64_zips: Path, function: str) -> None:
    # The product creator has pydynox, Pydantic and Powertools.
    limit = 12_000_000 if function == "product_creator" else 8_000_000

    for zips in (host_zips, arm64_zips):
        assert (zips / f"{function}.zip").stat().st_size <= limit


def test_second_build_gives_same_bytes(checkout: Checkout, host_zips: Path) -> None:
    shutil.rmtree(checkout.out)
    shutil.rmtree(checkout.kept)

    assert checkout.build()["built"] == FUNCTIONS

    for first in host_zips.iterdir():
        assert (checkout.out / first.name).read_bytes() == first.read_bytes()


def test_zips_of_earlier_build_are_copied(checkout: Checkout, host_zips: Path) -> None:
    shutil.rmtree(checkout.out)

    assert checkout.build()["copied"] == FUNCTIONS

    for first in host_zips.iterdir():
        assert (checkout.out / first.name).read_bytes() == first.read_bytes()


def test_damaged_copy_of_zip_is_built_again(checkout: Checkout, host_zips: Path) -> None:
    damaged = checkout.kept / f"{checkout.arch}-change_publisher.zip"
    damaged.unlink()  # a hard link
    damaged.write_bytes(b"damaged")
    (checkout.out / "change_publisher.zip").unlink()

    assert checkout.build()["built"] == ["change_publisher"]

    intact = (host_zips / "change_publisher.zip").read_bytes()
    assert (checkout.out / "change_publisher.zip").read_bytes() == intact
    assert damaged.read_bytes() == intact


def test_unchanged_sources_build_nothing(checkout: Checkout, host_zips: Path) -> None:
    (checkout.out / "SHA256SUMS").unlink()

    assert checkout.build()["unchanged"] == FUNCTIONS

    for zip_file in host_zips.iterdir():
        assert (checkout.out / zip_file.name).read_bytes() == zip_file.read_bytes()


@pytest.mark.parametrize(
    ("module", "expected"),
    [("handlers/get_product.py", ["get_product"]), ("validators/body.py", WRITES)],
)
def test_change_builds_zips_that_contain_module(
    checkout: Checkout, module: str, expected: list[str]
) -> None:
    checkout.change(module)

    assert checkout.build()["built"] == expected

    for handler in expected:
        with zipfile.ZipFile(checkout.out / f"{handler}.zip") as archive:
            assert archive.read(f"product_lambda/{module}").endswith(b"# a change\n")


def test_damaged_zips_are_replaced(checkout: Checkout, host_zips: Path) -> None:
    cut, edited = checkout.out / "get_product.zip", checkout.out / "list_products.zip"
    os.truncate(cut, 1_000_000)
    with zipfile.ZipFile(edited, "a") as archive:
        archive.writestr("product_lambda/extra.py", "")

    assert checkout.build()["copied"] == ["get_product", "list_products"]

    for changed in (cut, edited):
        assert changed.read_bytes() == (host_zips / changed.name).read_bytes()


def test_changed_lock_builds_zips_with_changed_package(
    tmp_path: Path,
    host_zips: Path,
    host_arch: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = shutil.copytree(host_zips, tmp_path / "out")
    cache = shutil.copytree(
        packages.CACHE,
        tmp_path / "cache",
        copy_function=os.link,
        ignore=shutil.ignore_patterns("tmp*", "*.part"),
    )
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"{packages.REQUIREMENTS.read_text()}# another version of Pydantic\n")
    unpacked_before = packages.packages_folder(host_arch).name
    monkeypatch.setattr(packages, "CACHE", cache)
    monkeypatch.setattr(packages, "REQUIREMENTS", requirements)
    # Stands for the download of another version: one file of the package differs.
    (cache / unpacked_before).rename(packages.packages_folder(host_arch))
    [record] = packages.packages_folder(host_arch).glob("pydantic-*.dist-info/RECORD")
    content = record.read_text()
    record.unlink()  # a hard link
    record.write_text(content.replace("pydantic/main.py,sha256=", "pydantic/main.py,sha256=0"))

    packages.build(host_arch, out)

    with_pydantic = sorted([*WRITES, "product_creator"])
    assert zips_in(capsys.readouterr().out)["built"] == with_pydantic


def test_checksums_match_zips(host_zips: Path) -> None:
    lines = (host_zips / "SHA256SUMS").read_text().splitlines()

    assert lines == [
        f"{hashlib.sha256((host_zips / f'{each}.zip').read_bytes()).hexdigest()}  {each}.zip"
        for each in FUNCTIONS
    ]


@pytest.mark.parametrize("handler", FUNCTIONS)
def test_extension_modules_have_given_architecture(
    host_zips: Path, arm64_zips: Path, host_arch: str, handler: str
) -> None:
    for zips, arch in ((host_zips, host_arch), (arm64_zips, "arm64")):
        with zipfile.ZipFile(zips / f"{handler}.zip") as archive:
            machines = {
                int.from_bytes(archive.read(name)[18:20], "little")
                for name in archive.namelist()
                if name.endswith(".so")
            }
        assert machines == (set() if handler in WITHOUT_EXTENSIONS else {ELF_MACHINES[arch]})


@pytest.mark.parametrize("handler", FUNCTIONS)
def test_all_files_are_readable_for_lambda(host_zips: Path, handler: str) -> None:
    with zipfile.ZipFile(host_zips / f"{handler}.zip") as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}

    assert modes == {name: 0o100755 if name.endswith(".so") else 0o100644 for name in modes}


def test_import_without_locked_package_is_named(host_zips: Path, host_arch: str) -> None:
    assert host_zips.exists()  # the packages are unpacked
    unpacked = packages.fetch_packages(host_arch)

    with pytest.raises(packages.PackagingError, match=r"No package .* provides imaginary"):
        packages.distributions_for(["imaginary"], unpacked, host_arch)


def test_failed_download_of_packages_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"imaginary==1.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(packages, "REQUIREMENTS", requirements)
    monkeypatch.setattr(packages, "CACHE", tmp_path / "packages")
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    code = package_lambdas.main(["--arch", "arm64", "--out", str(tmp_path / "out")])

    assert code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_module_that_does_not_compile_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def\n")

    with pytest.raises(packages.PackagingError, match=r"broken\.py"):
        packages.compile_tree(tmp_path, beside_source=False)
