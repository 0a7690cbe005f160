"""The service's root module several times in one plan, each time with other values.

One run of Terraform instead of many: a run loads the provider, which takes longer than a plan.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from local.stack import architecture
from product_tools.environment_files import values
from product_tools.repository import REPOSITORY
from product_tools.terraform import TERRAFORM_FOLDER, LocalRoot

_PROVIDER = re.compile(r'^provider "aws" \{\n(?!  alias).*?^\}\n', re.MULTILINE | re.DOTALL)
_SHARED_VALUES = (
    "environment",
    "aws_account_id",
    "aws_region",
    "cors_allowed_origins",
    "log_retention_days",
)


def root_of_modules(
    folder: Path, modules: Mapping[str, Mapping[str, object]], provider: Mapping[str, str]
) -> LocalRoot:
    """Return an initialised root with DEV's service as a module for each set of values.

    The modules share the provider of the root: with one of its own, each module would start another
    process of the provider, with 300 MB.

    Args:
        folder: an empty folder.
        modules: values of variables, by the name of the module; others have the values of DEV.
        provider: environment variables for the provider.
    """
    shutil.copytree(
        TERRAFORM_FOLDER,
        folder / "service",
        ignore=lambda directory, names: [
            name for name in names if (Path(directory) / name).is_dir() and name != "templates"
        ],
    )
    main = folder / "service" / "main.tf"
    text, found = _PROVIDER.subn("", main.read_text())
    assert found == 1
    main.write_text(text)

    source = folder / "source"
    source.mkdir()
    shutil.copy(TERRAFORM_FOLDER / ".terraform.lock.hcl", source)
    dev = values("dev")
    shared = {
        **{name: dev[name] for name in _SHARED_VALUES},
        "architecture": architecture(),
        "schema_file": str(REPOSITORY / "schemas" / "products.schema.json"),
    }
    blocks = [f'provider "aws" {{\n  region = "{dev["aws_region"]}"\n}}\n']
    for name, given in modules.items():
        lines = [f"  {key} = {json.dumps(value)}" for key, value in {**shared, **given}.items()]
        blocks.append(
            "\n".join([f'module "{name}" {{', '  source = "../service"', *lines, "}", ""])
        )
    (source / "main.tf").write_text("\n".join(blocks))
    root = LocalRoot(source, folder / "root", {}, provider)
    root.init()
    return root
