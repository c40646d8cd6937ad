"""The web application: its addresses, and what each answers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from recsys_lab.serve.exhibits import Exhibits, UnknownError
from recsys_lab.serve.json_form import (
    Hit,
    RunFacts,
    SimilarItems,
    hit_of,
    neighbours_of,
    run_facts,
)
from recsys_lab.serve.rendering import FILES, Pages
from recsys_lab.serve.view import Question, Search, View

# Nothing from elsewhere, no script or style within a page, no frame around it.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def build_application(exhibits: Exhibits, hosts: Sequence[str] = ("*",)) -> FastAPI:
    """The application over some runs.

    Args:
        exhibits: the runs and what ranks their items.
        hosts: names that requests may call the server by; others are refused, so that a page from
            elsewhere cannot read this one through a name of its own.
    """
    app = FastAPI(
        title="recsys_lab: similar items", docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    pages = Pages(exhibits)
    _add_headers(app)
    _add_pages(app, exhibits, pages)
    _add_api(app, exhibits)
    _add_errors(app, pages)
    app.mount("/static", StaticFiles(directory=FILES / "static"))
    return app


def _add_pages(app: FastAPI, exhibits: Exhibits, pages: Pages) -> None:
    @app.get("/", include_in_schema=False)
    def page(view: Annotated[View, Query()]) -> Response:
        if view.item:
            return pages.item(view)
        if not view.q.strip():
            return pages.start(view)
        hits = exhibits.search(view.q, view.k if view.k > 20 else 20)
        if len(hits) == 1:
            return RedirectResponse(view.link(item=hits[0].item, q=""), 303)
        return pages.hits(view, hits)


def _add_api(app: FastAPI, exhibits: Exhibits) -> None:
    @app.get("/api/runs")
    def runs() -> list[RunFacts]:
        """The runs that are served."""
        return [run_facts(run, exhibits) for run in exhibits.runs]

    @app.get("/api/search")
    def search(asked: Annotated[Search, Query()]) -> list[Hit]:
        """Items by id or by words of their titles, the best first."""
        return [hit_of(shown) for shown in exhibits.search(asked.q, asked.k)]

    @app.get("/api/similar", responses={404: {"description": "no such item, run or baseline"}})
    def similar(asked: Annotated[Question, Query()]) -> SimilarItems:
        """The neighbours of an item by the model of a run, or by a baseline over its pairs."""
        return neighbours_of(exhibits, asked)


def _add_headers(app: FastAPI) -> None:
    @app.middleware("http")
    async def add(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call(request)
        response.headers.update(HEADERS)
        return response


def _add_errors(app: FastAPI, pages: Pages) -> None:
    def answer(request: Request, status: int, message: str, **more: Any) -> Response:
        if request.url.path.startswith("/api/"):
            response: Response = JSONResponse({"detail": message, **more}, status)
        else:
            response = pages.trouble(status, message, **more)
        response.headers.update(HEADERS)  # which a failure does not pass through
        return response

    @app.exception_handler(UnknownError)
    def unknown(request: Request, error: UnknownError) -> Response:
        return answer(request, 404, str(error), near=error.near)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        wrong = [f"{e['loc'][-1]}: {e['msg'].lower()}" for e in error.errors()]
        return answer(request, 422, f"The address cannot be used: {'; '.join(wrong)}.")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        response = answer(request, error.status_code, f"{error.detail}.")
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> Response:
        return answer(request, 500, "The page failed: the terminal of the server tells why.")
