"""The stand-ins keep the contracts of the images whose names they carry: accounts here, the rest in docker_check."""

import importlib.util
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.common.clickhouse import writer_password_path
from services.common.settings import Settings
from services.embedded.access import Account, authenticate, credentials, refuse_foreign
from services.embedded.endpoint import serve
from services.embedded.errors import QueryError

ROOT = Path(__file__).resolve().parents[2]
PASSWORDS = {"CLICKHOUSE_WRITER_PASSWORD": "for-writing", "CLICKHOUSE_READER_PASSWORD": "for-reading"}


@pytest.fixture(scope="module")
def server() -> ModuleType:
    """tests/standins/clickhouse/server.py, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("server", ROOT / "tests/standins/clickhouse/server.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def client(
    server: ModuleType, settings_factory: Callable[..., Settings], tmp_path: Path
) -> AsyncIterator[TestClient]:
    """A door before something that tells for whom the endpoint would take the request."""
    path = writer_password_path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text("the endpoint's own\n")

    @web.middleware
    async def refused(request: web.Request, handler):
        try:
            return await handler(request)
        except QueryError as error:
            return web.Response(status=error.status, text=str(error))

    async def tell(request: web.Request) -> web.Response:
        refuse_foreign(request.headers)
        account = authenticate(credentials(request.headers, request.query), "the endpoint's own")
        return web.Response(text=f"{account.value} {await request.text()}")

    door = server.door(settings_factory(data_dir=tmp_path), server.accounts(PASSWORDS))
    app = web.Application(middlewares=[refused, door])
    app.router.add_route("*", "/", tell)
    app.router.add_get("/ping", tell)
    async with TestClient(TestServer(app)) as client:
        yield client


def basic(user: str, password: str) -> dict[str, str]:
    """The header of basic authorization."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


@pytest.mark.parametrize(("user", "password"), [("writer", "for-writing"), ("reader", "for-reading")])
async def test_each_account_comes_in_with_its_password(client: TestClient, user: str, password: str) -> None:
    ways = (
        {"headers": basic(user, password)},
        {"headers": {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}},
        {"params": {"user": user, "password": password}},
    )
    for way in ways:
        answer = await client.post("/", data="SELECT 1", **way)
        assert (answer.status, await answer.text()) == (200, f"{user} SELECT 1")


async def test_nobody_comes_in_without_a_password(client: TestClient) -> None:
    for name, password in [("default", ""), ("reader", ""), ("writer", "for-reading"), ("reader", "for-writing")]:
        answer = await client.get("/?query=SELECT+1", headers=basic(name, password))
        assert answer.status == 403, name
    assert (await client.get("/?query=SELECT+1")).status == 403
    assert (await client.post("/", data="SELECT 1")).status == 403
    # the endpoint's own password is for the door alone
    assert (await client.post("/", headers=basic("writer", "the endpoint's own"))).status == 403
    assert (await client.get("/ping")).status == 200


def test_the_image_can_make_an_account_of_its_own(server: ModuleType) -> None:
    environment = {"CLICKHOUSE_USER": "test", "CLICKHOUSE_PASSWORD": "secret"}
    assert server.accounts(environment) == {"test": ("secret", Account.WRITER)}
    assert server.accounts(environment | PASSWORDS | {"CLICKHOUSE_SKIP_USER_SETUP": "1"}).keys() == {"writer", "reader"}


async def test_the_endpoint_is_not_opened_to_others_without_a_door(settings_factory: Callable[..., Settings]) -> None:
    with pytest.raises(ValueError, match="asks for passwords"):
        await serve(settings_factory(), address="0.0.0.0")


def test_each_stand_in_says_what_it_is() -> None:
    for path in (ROOT / "tests/standins").glob("*/Dockerfile"):
        assert re.search(
            r'^LABEL wiki-battlefield\.stands-in-for="[^"]+: this is [^"]+"$', path.read_text(), re.MULTILINE
        )
