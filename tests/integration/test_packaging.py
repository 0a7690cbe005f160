"""The zips of the functions, loaded as Lambda does: nothing of this environment may help them."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

import package_lambdas
from product_tools import packages

ROOT = Path(__file__).resolve().parents[2]
READS = ["delete_product", "get_product", "list_products"]  # these take no body
WRITES = ["create_product", "update_product"]
HANDLERS = sorted(READS + WRITES)
ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64"}
ELF_MACHINES = {"arm64": 183, "x86_64": 62}  # e_machine in the ELF specification

# Imports the handler with nothing but the standard library and the unpacked zip in reach, and has
# it turn a request down, which it logs.
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


class Imported(NamedTuple):
    """What an interpreter had loaded after a handler's first answer."""

    modules: list[str]
    files: list[str]
    bytecode: list[str]

    @property
    def packages(self) -> set[str]:
        return {name.partition(".")[0] for name in self.modules}


def package(out: Path, arch: str) -> None:
    """Build the zips as a person would."""
    command = [str(ROOT / "scripts/package_lambdas.sh"), "--arch", arch, "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def host_arch() -> str:
    return ARCHITECTURES[platform.machine()]


@pytest.fixture(scope="module")
def host_zips(tmp_path_factory: pytest.TempPathFactory, host_arch: str) -> Path:
    out = tmp_path_factory.mktemp("host")
    package(out, host_arch)
    return out


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory, host_zips: Path) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    for handler in HANDLERS:
        with zipfile.ZipFile(host_zips / f"{handler}.zip") as archive:
            archive.extractall(folder / handler)
    return folder


@pytest.fixture(scope="module")
def arm64_zips(tmp_path_factory: pytest.TempPathFactory, host_zips: Path, host_arch: str) -> Path:
    if host_arch == "arm64":
        return host_zips
    out = tmp_path_factory.mktemp("arm64")
    package(out, "arm64")
    return out


def imported_by(handler: str, folder: Path) -> Imported:
    # The interpreter itself, not that of the virtual environment.
    bare_python: str = sys._base_executable  # type: ignore[attr-defined]
    module = f"product_lambda.handlers.{handler}"
    outcome = subprocess.run(
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
    return Imported(**json.loads(outcome.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def imported(unpacked: Path) -> dict[str, Imported]:
    return {handler: imported_by(handler, unpacked / handler) for handler in HANDLERS}


def entries(zips: Path, handler: str) -> list[str]:
    with zipfile.ZipFile(zips / f"{handler}.zip") as archive:
        return archive.namelist()


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_imports_from_its_zip_and_the_standard_library_alone(
    unpacked: Path, imported: dict[str, Imported], handler: str
) -> None:
    foreign = [
        file
        for file in imported[handler].files
        if not Path(file).is_relative_to(unpacked / handler)
        and ("site-packages" in file or Path(file).is_relative_to(ROOT))
    ]
    assert foreign == []
    assert "pydynox" in imported[handler].packages


@pytest.mark.parametrize("handler", READS)
def test_a_function_that_takes_no_body_imports_neither_pydantic_nor_boto3(
    imported: dict[str, Imported], handler: str
) -> None:
    unwanted = {"pydantic", "pydantic_core", "boto3", "botocore"}

    assert not unwanted & imported[handler].packages


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_function_logs_without_running_asyncio(
    imported: dict[str, Imported], handler: str
) -> None:
    assert "asyncio" in imported[handler].modules
    assert "asyncio.events" not in imported[handler].modules


@pytest.mark.parametrize("handler", READS)
def test_a_function_that_takes_no_body_does_not_carry_what_reads_bodies(
    host_zips: Path, handler: str
) -> None:
    carried = entries(host_zips, handler)

    assert "product_lambda/models/requests.py" not in carried
    assert not [name for name in carried if name.startswith(("pydantic", "boto"))]


@pytest.mark.parametrize("handler", WRITES)
def test_a_function_that_takes_a_body_checks_it_with_pydantic_but_without_boto3(
    imported: dict[str, Imported], handler: str
) -> None:
    assert "pydantic" in imported[handler].packages
    assert not {"boto3", "botocore"} & imported[handler].packages


@pytest.mark.parametrize("handler", HANDLERS)
def test_every_module_of_a_zip_is_loaded_from_bytecode(
    unpacked: Path, imported: dict[str, Imported], handler: str
) -> None:
    ours = [file for file in imported[handler].bytecode if Path(file).is_relative_to(unpacked)]
    assert ours
    assert [file for file in ours if not Path(file).is_file()] == []


@pytest.mark.parametrize("handler", HANDLERS)
def test_bytecode_is_never_compared_with_its_source(unpacked: Path, handler: str) -> None:
    flags = {
        int.from_bytes(file.read_bytes()[4:8], "little")
        for file in (unpacked / handler).rglob("*.pyc")
    }

    assert flags == {0b01}  # PEP 552: by hash, unchecked


def test_there_is_a_zip_for_each_function_and_no_other(host_zips: Path) -> None:
    assert sorted(path.name for path in host_zips.iterdir()) == sorted(
        ["SHA256SUMS", *(f"{handler}.zip" for handler in HANDLERS)]
    )


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_zip_holds_no_other_handler(host_zips: Path, handler: str) -> None:
    others = {f"product_lambda/handlers/{other}.py" for other in HANDLERS if other != handler}

    carried = entries(host_zips, handler)

    assert f"product_lambda/handlers/{handler}.py" in carried
    assert not others & set(carried)


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_zip_holds_nothing_that_functions_do_not_read(host_zips: Path, handler: str) -> None:
    unwanted = [
        name
        for name in entries(host_zips, handler)
        if "/tests/" in name
        or name.endswith((".pyi", "/RECORD", "/WHEEL"))
        or ("__pycache__" in name and not name.endswith(".cpython-312.pyc"))
        or name.startswith(("local/", "scripts/", "tests/", "bin/"))
    ]

    assert unwanted == []


@pytest.mark.parametrize("pattern", packages.UNUSED)
def test_each_pattern_of_unused_files_still_matches_a_file(
    host_zips: Path, host_arch: str, pattern: str
) -> None:
    assert host_zips.exists()  # the packages were fetched
    unpacked = packages.fetch_packages(host_arch)
    files = [
        str(path)
        for distribution in importlib.metadata.distributions(path=[str(unpacked)])
        for path in distribution.files or ()
    ]

    assert any(fnmatchcase(file, pattern) for file in files)


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_zip_is_small(host_zips: Path, arm64_zips: Path, handler: str) -> None:
    limit = 8_000_000 if handler in READS else 10_000_000

    for zips in (host_zips, arm64_zips):
        assert (zips / f"{handler}.zip").stat().st_size <= limit


def test_building_twice_gives_the_same_bytes(
    tmp_path: Path, host_zips: Path, host_arch: str
) -> None:
    package(tmp_path, host_arch)

    for first in host_zips.iterdir():
        assert (tmp_path / first.name).read_bytes() == first.read_bytes()


def test_the_checksums_are_those_of_the_zips(host_zips: Path) -> None:
    lines = (host_zips / "SHA256SUMS").read_text().splitlines()

    assert lines == [
        f"{hashlib.sha256((host_zips / f'{handler}.zip').read_bytes()).hexdigest()}  {handler}.zip"
        for handler in HANDLERS
    ]


@pytest.mark.parametrize("handler", HANDLERS)
def test_compiled_modules_are_of_the_architecture_asked_for(
    host_zips: Path, arm64_zips: Path, host_arch: str, handler: str
) -> None:
    for zips, arch in ((host_zips, host_arch), (arm64_zips, "arm64")):
        with zipfile.ZipFile(zips / f"{handler}.zip") as archive:
            machines = {
                int.from_bytes(archive.read(name)[18:20], "little")
                for name in archive.namelist()
                if name.endswith(".so")
            }
        assert machines == {ELF_MACHINES[arch]}


@pytest.mark.parametrize("handler", HANDLERS)
def test_lambda_may_read_every_file(host_zips: Path, handler: str) -> None:
    with zipfile.ZipFile(host_zips / f"{handler}.zip") as archive:
        modes = {entry.external_attr >> 16 for entry in archive.infolist()}

    assert modes == {0o100644, 0o100755}


def test_an_import_that_no_locked_package_provides_is_named(
    host_zips: Path, host_arch: str
) -> None:
    assert host_zips.exists()  # the packages were fetched
    unpacked = packages.fetch_packages(host_arch)

    with pytest.raises(packages.PackagingError, match=r"No package .* provides imaginary"):
        packages.distributions_for(["imaginary"], unpacked, host_arch)


def test_packages_that_cannot_be_had_are_one_sentence(
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


def test_a_module_that_does_not_compile_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def\n")

    with pytest.raises(packages.PackagingError, match=r"broken\.py"):
        packages.compile_tree(tmp_path, beside_source=False)
