"""Catalogue files: exact numbers, lossless round trips, and all errors in one message."""

from decimal import Decimal
from pathlib import Path

import pytest
import simplejson
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from product_tools import catalogue_file
from product_tools.catalogue_file import CatalogueFileError, Product

PLANS = Path(__file__).parents[2] / "catalogue" / "plans.yaml"

LIKE_NUMBERS = ["1e5", "0100", "1_000", "1:30", "19.90", ".5", "-0", "+1", "0x1F", ".inf"]
LIKE_KEYWORDS = ["yes", "null", "~", "=", "<<", "2026-01-31"]
LIKE_SYNTAX = [
    "a: b",
    "- a",
    "# a",
    "'a'",
    '"a',
    "a\n\n  b",
    "a\n",
    "a\tb",
    "🙂",
    "é\u2028b",
    "a\x85b",
]
LIKE_FORMULAS = ["=1+1", "+27 11", "-20 %", "@home", "'=1", "''=1", "'n Webwerf", "\uff1d1", "\\=1"]
LIKE_CELLS = ["a|b", "|", "a\\", "\\|", "\\\\", "a,b", "a;b\tc", 'say "hi", "twice"', "a\n\n,b"]
SAMPLES = LIKE_NUMBERS + LIKE_KEYWORDS + LIKE_SYNTAX + LIKE_FORMULAS + LIKE_CELLS
TEXTS = st.sampled_from(SAMPLES) | st.text(st.characters(exclude_categories=["Cs"])).filter(
    str.strip
)
AMOUNTS = st.decimals(min_value=0, max_value=Decimal("99999999.99"), places=2).map(
    Decimal.normalize
)


def catalogues(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[Product]]:
    """Catalogues of up to four products, whose texts are of this kind."""
    product = st.builds(
        lambda **fields: catalogue_file.writable_fields(fields),
        productId=st.integers(1, 10**6).map("PROD-{}".format),
        name=texts,
        description=texts,
        price=AMOUNTS,
        setupFee=st.none() | AMOUNTS,
        currency=st.sampled_from(["ZAR", "NOK"]),
        period=st.sampled_from(["monthly", "yearly", "once-off"]),
        features=st.lists(texts, min_size=1, max_size=3),
    )
    return st.lists(product, unique_by=lambda entry: str(entry["productId"]), max_size=4)


def product_entry(**fields: object) -> dict[str, object]:
    return {
        "productId": "PROD-001",
        "name": "Basic",
        "description": "A plan.",
        "price": 10,
        "period": "yearly",
        "features": ["One site"],
    } | fields


def errors_of(folder: Path, *entries: object) -> str:
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump({"products": entries}))
    return error_of(path)


def error_of(path: Path) -> str:
    with pytest.raises(CatalogueFileError) as error:
        catalogue_file.read(path)
    return str(error.value)


@pytest.mark.parametrize("ending", [".yaml", ".yml", ".json"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(products=catalogues(TEXTS))
def test_write_and_read_keep_products_and_bytes(
    tmp_path: Path, ending: str, products: list[Product]
) -> None:
    check_round_trip(tmp_path, ending, products)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
# The API rejects texts with a carriage return, the line end of some spreadsheets.
@given(products=catalogues(TEXTS.filter(lambda text: "\r" not in text)))
def test_spreadsheet_keeps_products_and_bytes(tmp_path: Path, products: list[Product]) -> None:
    check_round_trip(tmp_path, ".csv", products)


def check_round_trip(folder: Path, ending: str, products: list[Product]) -> None:
    first, second = folder / f"first{ending}", folder / f"second{ending}"
    catalogue_file.write(first, products)
    products_read = catalogue_file.read(first)
    assert products_read == sorted(products, key=lambda product: str(product["productId"]))
    catalogue_file.write(second, reversed(products_read))
    assert second.read_bytes() == first.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(products=catalogues(TEXTS))
def test_other_yaml_reader_gets_same_types(tmp_path: Path, products: list[Product]) -> None:
    path = tmp_path / "catalogue.yaml"
    catalogue_file.write(path, products)
    for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["products"]:
        assert isinstance(entry["name"], str)
        assert isinstance(entry["price"], int | float)


@pytest.mark.parametrize("ending", [".yaml", ".json"])
@pytest.mark.parametrize("amount", ["19.99", "0.1", "95", "1e3", "0.10000000000000000000000000001"])
def test_read_amount_keeps_every_digit(tmp_path: Path, ending: str, amount: str) -> None:
    path = tmp_path / f"catalogue{ending}"
    entry = simplejson.dumps(product_entry(price="here")).replace('"here"', amount)
    path.write_text(f'{{"products": [{entry}]}}')
    (product,) = catalogue_file.read(path)
    assert type(product["price"]) is Decimal
    assert product["price"] == Decimal(amount)


@pytest.mark.parametrize("amount", ["'19.99'", "true", "0100", "1_000", "1:30", ".inf", "", "[1]"])
def test_read_price_that_is_no_number_is_rejected(tmp_path: Path, amount: str) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(
        "products: [{productId: PROD-1, name: A, description: A, period: yearly, features: [A],"
        f" price: {amount}}}]"
    )
    assert "product 1 (PROD-1): price must be a number such as 1500 or 19.99" in error_of(path)


def test_read_text_tagged_as_number_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text("products: !!float one")
    assert "'one' is not a number" in error_of(path)


def test_read_reports_all_errors_together(tmp_path: Path) -> None:
    message = errors_of(
        tmp_path,
        product_entry(price="10", colour="red"),
        product_entry(productId="PROD-001"),
        "Basic",
        {"productId": "PROD-002", "features": ["A", 1], "setupFee": "free"},
        product_entry(productId=" ", name=True),
    )
    text = "a text, in quotes if it looks like a number, a date, yes or no"
    number = "a number such as 1500 or 19.99, without quotes or separators of thousands"
    known = "productId, name, description, price, setupFee, currency, period, features"
    assert message.splitlines()[1:] == [
        f"  - product 1 (PROD-001): price must be {number}",
        f"  - product 1 (PROD-001): unknown field colour (known: {known})",
        "  - product 2 (PROD-001): productId is already used by product 1 (PROD-001)",
        "  - product 3 must be a mapping of fields",
        "  - product 4 (PROD-002): name is missing",
        "  - product 4 (PROD-002): description is missing",
        "  - product 4 (PROD-002): price is missing",
        f"  - product 4 (PROD-002): setupFee must be {number}",
        "  - product 4 (PROD-002): period is missing",
        "  - product 4 (PROD-002): features must be a list of texts",
        f"  - product 5: productId must be {text}",
        f"  - product 5: name must be {text}",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "version: 1\nversion: 2\nproducts: [{price: 1, price: 2}]"),
        ("a.json", '{"version": 1, "version": 2, "products": [{"price": 1, "price": 2}]}'),
    ],
)
def test_read_repeated_key_is_rejected(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    message = error_of(path)
    assert "- version is given twice" in message
    assert "- unknown field version beside products" in message
    assert "- product 1: price is given twice" in message


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.yaml", b"products: [", "cannot be parsed; correct this and try again: while parsing"),
        ("a.yaml", b"products: !!python/object:os.system {}", "could not determine a constructor"),
        ("a.yaml", b"products: &a [*a]", "found unconstructable recursive node"),
        (
            "a.yaml",
            b"name: 2026-13-45",
            "cannot be parsed; correct this and try again: month must be in 1..12",
        ),
        ("a.yaml", b"[" * 1000, "cannot be parsed"),
        ("a.yaml", b"", "must hold one mapping with a list named products"),
        ("a.yaml", b"- A", "must hold one mapping with a list named products"),
        ("a.yaml", b"products: {}", "must hold one mapping with a list named products"),
        ("a.yaml", b"products: [\xff]", "is not UTF-8"),
        ("a.json", b"", "cannot be parsed"),
        ("a.json", b'{"products": [{"price": NaN}]}', "cannot be parsed"),
        ("a.json", b"[" * 200_000, "cannot be parsed"),
        ("a.csv", b"", "line 1 must have the columns productId, name, description, price"),
        ("a.csv", b"name;colour\n", "line 1 has the unknown column 'colour' (known: productId,"),
        ("a.csv", b"name,price,name\n", "line 1 has the column name twice"),
        (
            "a.csv",
            b"name,price\nBasic,1,2\n",
            "line 2 has more cells than the header; put quotation marks",
        ),
        ("a.csv", b'name,price\nBasic,1\n"Pro,2\n', "line 3: unexpected end of data"),
        ("a.csv", b'name,price\n"Pro"x,2\n', "line 2: ',' expected after '\"'"),
        ("a.csv", b"name\n\xe9\n", "save it as UTF-8 (in a spreadsheet, as CSV UTF-8)"),
        ("a.txt", b"products: []", "must end in .yaml, .yml, .json or .csv"),
    ],
)
def test_read_invalid_file_is_rejected_with_its_path(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = error_of(path)
    assert expected in message
    assert str(path) in message


def test_read_missing_file_is_rejected_with_its_path(tmp_path: Path) -> None:
    message = error_of(tmp_path / "missing.yaml")
    assert message == (
        f"{tmp_path}/missing.yaml cannot be read (No such file or directory): check the path."
    )


def test_failed_write_keeps_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    catalogue_file.write(path, [])
    before = path.read_bytes()
    (tmp_path / "plans.yaml.new").mkdir()  # so that the new file cannot be written
    with pytest.raises(CatalogueFileError, match=r"cannot be written"):
        catalogue_file.write(path, [product_entry()])
    assert path.read_bytes() == before


def test_written_catalogue_leaves_no_other_file(tmp_path: Path) -> None:
    catalogue_file.write(tmp_path / "plans.yaml", [])
    assert [each.name for each in tmp_path.iterdir()] == ["plans.yaml"]


def test_write_to_missing_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogueFileError, match=r"cannot be written \(No such file or directory\): check the path"
    ):
        catalogue_file.write(tmp_path / "missing" / "a.yaml", [])


def test_read_trims_texts_and_sets_defaults(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    entry = product_entry(name=" Basic ", description="Two\nlines\n", features=[" One site\n"])
    path.write_text(yaml.safe_dump({"products": [entry]}))
    assert catalogue_file.read(path) == [
        product_entry(description="Two\nlines", currency="ZAR", setupFee=None)
    ]


def test_plans_are_complete_and_equal_an_export(tmp_path: Path) -> None:
    plans = catalogue_file.read(PLANS)
    assert [
        (plan["productId"], plan["name"], plan["price"], plan["setupFee"]) for plan in plans
    ] == [
        ("PROD-001", "Entry", 95, None),
        ("PROD-002", "Basic", 1000, 1500),
        ("PROD-003", "Standard", 1500, 2500),
        ("PROD-004", "Premium", 2500, 3500),
        ("PROD-005", "Enterprise", 3500, 5000),
    ]
    assert {(plan["currency"], plan["period"]) for plan in plans} == {("ZAR", "yearly")}
    assert "per domain" in " ".join(plans[0]["features"])
    export = tmp_path / "plans.yaml"
    catalogue_file.write(export, plans)
    assert PLANS.read_text(encoding="utf-8").endswith(export.read_text(encoding="utf-8"))


# --- spreadsheets

HEADER = "productId,name,description,price,setupFee,currency,period,features"


def csv_file(folder: Path, *lines: str) -> Path:
    path = folder / "catalogue.csv"
    path.write_text("\n".join((HEADER, *lines)), encoding="utf-8")
    return path


def test_spreadsheet_has_one_row_for_each_product(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.csv"
    features = ["Five pages", "Contact | form", "C:\\sites"]
    product = product_entry(price=Decimal("1E+3"), currency="ZAR", features=features)
    catalogue_file.write(path, [product, product | {"productId": "PROD-002", "name": 'A "b"'}])
    assert path.read_bytes().decode("utf-8") == (
        f"\ufeff{HEADER}\r\n"
        r"PROD-001,Basic,A plan.,1000,,ZAR,yearly,Five pages|Contact \| form|C:\\sites"
        "\r\n"
        r'PROD-002,"A ""b""",A plan.,1000,,ZAR,yearly,Five pages|Contact \| form|C:\\sites'
        "\r\n"
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1", "'n Webwerf"])
def test_spreadsheet_has_no_formula(tmp_path: Path, text: str) -> None:
    path = tmp_path / "catalogue.csv"
    catalogue_file.write(path, [product_entry(name=text, features=[text, "b"])])
    assert rf",\{text},A plan.," in path.read_text()
    assert rf",\{text}|b" in path.read_text()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_spreadsheet_is_read_as_others_save_it(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "catalogue.csv"
    cells = ["features", "price", "name", "productId", "description", "period", "setupFee", ""]
    row = ["One site| Two|", '"19,9"', "'n Plan", " PROD-001 ", '"A\r\n""b"""', "yearly", ""]
    lines = [cells, row, [""] * 9, []]
    path.write_bytes("\r\n".join(map(delimiter.join, lines)).encode("utf-8-sig"))
    assert catalogue_file.read(path) == [
        product_entry(
            name="'n Plan",
            description='A\n"b"',
            price=Decimal("19.9"),
            setupFee=None,
            currency="ZAR",
            features=["One site", "Two"],
        )
    ]


def test_spreadsheet_errors_name_line_and_product(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        '"PROD-001",Basic,"Two',
        'lines",1 000,free,,yearly,a',
        'PROD-001,,b,"1,000",,,yearly,',
        ",Basic,b,1,,,yearly,a",
    )
    number = "a number such as 1500 or 19.99, without quotes or separators of thousands"
    assert error_of(path).splitlines()[1:] == [
        f"  - line 2 (PROD-001): price must be {number}",
        f"  - line 2 (PROD-001): setupFee must be {number}",
        "  - line 4 (PROD-001): name is missing",
        f"  - line 4 (PROD-001): price must be {number}",
        "  - line 4 (PROD-001): features is missing",
        "  - line 4 (PROD-001): productId is already used by line 2 (PROD-001)",
        "  - line 5: productId is missing",
    ]
