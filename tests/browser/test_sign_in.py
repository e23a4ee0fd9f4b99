"""Signing in through an OpenID Connect provider, a small one that runs here."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlencode, urlparse

import pytest
from local_server import answering

import emap_core as emap

pytest.importorskip("authlib", reason="the package Authlib is not installed")
joserfc = pytest.importorskip("joserfc", reason="the package joserfc is not installed")

pytestmark = pytest.mark.browser

WAIT = 60_000
CLIENT, SECRET = "emap-lens", "what only the two servers know"
FORM = """<!doctype html><title>Provider</title><form action="/allow">
<input name="email" aria-label="Who are you"><input type="hidden" name="asked" value="{asked}">
<button>Continue</button></form>"""


@pytest.fixture(scope="module")
def provider():
    """Serve a provider that lets anybody say who they are, and notes who went out."""
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    key = RSAKey.generate_key(2048, {"kid": "the-key", "use": "sig"})
    asked, granted, gone = {}, {}, []

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self):
            address = urlparse(self.path)
            given = {name: values[0] for name, values in parse_qs(address.query).items()}
            name = re.sub(r"\W", "_", address.path.rpartition("/")[2])
            getattr(self, f"get_{name}")(given)

        def get_openid_configuration(self, given):
            places = {
                "authorization_endpoint": "authorize",
                "token_endpoint": "token",
                "jwks_uri": "keys",
                "end_session_endpoint": "leave",
            }
            self.answer(
                {
                    "issuer": issuer,
                    **{name: f"{issuer}/{place}" for name, place in places.items()},
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "code_challenge_methods_supported": ["S256"],
                }
            )

        def get_authorize(self, given):
            assert given["client_id"] == CLIENT and "openid" in given["scope"].split()
            number = secrets.token_urlsafe()
            asked[number] = given
            self.answer(FORM.format(asked=number))

        def get_allow(self, given):
            request, code = asked.pop(given["asked"]), secrets.token_urlsafe()
            granted[code] = request, given["email"]
            back = urlencode({"code": code, "state": request["state"]})
            self.redirect(f"{request['redirect_uri']}?{back}")

        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"])).decode()
            given = {name: values[0] for name, values in parse_qs(content).items()}
            request, email = granted.pop(given["code"])
            proof = hashlib.sha256(given["code_verifier"].encode()).digest()
            assert base64.urlsafe_b64encode(proof).decode().rstrip("=") == request["code_challenge"]
            credentials = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            assert self.headers["Authorization"] == f"Basic {credentials}"
            now = int(time.time())
            claims = {"iss": issuer, "aud": CLIENT, "sub": email, "iat": now, "exp": now + 300}
            claims |= {"nonce": request["nonce"], "email": email, "email_verified": True}
            token = jwt.encode({"alg": "RS256", "kid": "the-key"}, claims, key)
            self.answer({"access_token": "a", "token_type": "Bearer", "id_token": token})

        def get_keys(self, given):
            self.answer({"keys": [key.as_dict(private=False)]})

        def get_favicon_ico(self, given):
            self.send_error(404)

        def get_leave(self, given):
            gone.append(jwt.decode(given["id_token_hint"], key).claims["email"])
            self.redirect(given["post_logout_redirect_uri"])

        def redirect(self, place):
            self.send_response(302)
            self.send_header("Location", place)
            self.end_headers()

        def answer(self, content):
            page = isinstance(content, str)
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if page else "application/json")
            self.end_headers()
            self.wfile.write((content if page else json.dumps(content)).encode())

        def log_message(self, *said):
            pass

    with answering(Provider) as issuer:
        yield issuer, gone


@pytest.fixture(scope="module")
def guarded(provider, serve_app, tmp_path_factory):
    """Serve an app with a run for those on a list of one; return its URL."""
    secret = tmp_path_factory.mktemp("secrets") / "secrets.toml"
    secret.write_text(
        f"""[auth]
redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
cookie_secret = "{secrets.token_hex()}"
client_id = "{CLIENT}"
client_secret = "{SECRET}"
server_metadata_url = "{provider[0]}/.well-known/openid-configuration"
"""
    )
    options = f"--secrets.files={secret}"
    with serve_app(options, EMAP_ALLOWED_EMAILS="ada@example.org") as (url, runs):
        emap.compute("demo:concat", "demo:easy-vqa", data_args={"limit": 40}, out=runs / "it")
        yield url


@pytest.fixture
def gone(provider):
    """A list of who went out, in this test."""
    provider[1].clear()
    return provider[1]


def shows(page, words):
    from playwright.sync_api import expect

    expect(page.get_by_text(words).first).to_be_visible(timeout=WAIT)


def sees_only(page, button):
    from playwright.sync_api import expect

    expect(page.get_by_role("button", name=button)).to_be_visible(timeout=WAIT)
    expect(page.get_by_test_id("stButton")).to_have_text([re.compile(button)])
    expect(page.get_by_test_id("stSidebar")).to_have_count(0)
    expect(page.get_by_text("examples")).to_have_count(0)


def sign_in(page, email):
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Who are you").fill(email)
    page.get_by_role("button", name="Continue").click()


def sign_out(page):
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for(timeout=WAIT)


def test_who_is_not_on_the_list_sees_no_run(guarded, gone, browser_page):
    page = browser_page
    page.goto(f"{guarded}/overview?run=it")
    sees_only(page, "Sign in")
    sign_in(page, "eve@example.org")
    refused = re.compile("^eve@.*is not on the list")
    shows(page, refused)
    sees_only(page, "Sign out")
    page.goto(f"{guarded}/overview?run=it")
    shows(page, refused)
    sees_only(page, "Sign out")
    sign_out(page)
    assert gone == ["eve@example.org"]


def test_who_is_on_the_list_signs_in_and_out(guarded, gone, browser_page):
    page = browser_page
    page.goto(guarded)
    sign_in(page, "ada@example.org")
    shows(page, "40 examples")
    assert page.url == f"{guarded}/"
    page.get_by_test_id("stSidebar").get_by_text(re.compile("^ada@")).wait_for(timeout=WAIT)
    page.goto(f"{guarded}/overview?run=it")
    shows(page, "Do interactions matter here?")
    sign_out(page)
    page.goto(f"{guarded}/overview?run=it")
    sees_only(page, "Sign in")
    assert gone == ["ada@example.org"]


def test_who_came_by_a_link_gets_there_and_later_to_the_first_page(guarded, gone, browser_page):
    page = browser_page
    page.goto(f"{guarded}/overview?run=it")
    page.get_by_role("button", name="Sign in").wait_for(timeout=WAIT)
    page.wait_for_function("document.cookie.includes('emap-lens-page=overview')")
    sign_in(page, "ada@example.org")
    shows(page, "Do interactions matter here?")
    assert page.url == f"{guarded}/overview?run=it"
    page.wait_for_function("!document.cookie.includes('emap-lens-page')")
    page.goto(guarded)
    shows(page, "40 examples")
    assert page.url == f"{guarded}/"
    sign_out(page)
    assert gone == ["ada@example.org"]


def test_a_cookie_written_without_the_server_s_secret_is_nobody_s(guarded, browser_page):
    page = browser_page
    forged = "eyJlbWFpbCI6ImFkYUBleGFtcGxlLm9yZyIsImlzX2xvZ2dlZF9pbiI6dHJ1ZX0.Zx.Zx"
    page.context.add_cookies([{"name": "_streamlit_user", "value": forged, "url": guarded}])
    page.goto(f"{guarded}/overview?run=it")
    sees_only(page, "Sign in")
