"""Tests that a browser offers to install the dashboard as an app."""

import json

import pytest
from browser import until


@pytest.fixture
def manifest(page):
    answer = page.driver.execute_cdp_cmd("Page.getAppManifest", {})
    assert answer["errors"] == []
    return json.loads(answer["data"])


def test_the_browser_finds_nothing_that_prevents_the_installation(page, manifest):
    assert manifest["display"] == "standalone"
    # An incognito window is the only thing that a test cannot avoid; headless Chromium may count as one.
    errors = page.driver.execute_cdp_cmd("Page.getInstallabilityErrors", {})["installabilityErrors"]
    assert [error["errorId"] for error in errors if error["errorId"] != "in-incognito"] == []


def test_each_icon_has_the_size_that_the_manifest_names(page, manifest):
    for icon in manifest["icons"]:
        page.run("window.icon = new Image(); icon.src = arguments[0]", icon["src"])
        until(lambda: page.run("return icon.complete && icon.naturalWidth > 0"), 2, f"{icon['src']} is an image")
        if icon["sizes"] != "any":
            assert page.run("return `${icon.naturalWidth}x${icon.naturalHeight}`") == icon["sizes"]
    assert {icon.get("purpose", "any") for icon in manifest["icons"]} == {"any", "maskable"}


def test_the_page_works_below_the_path_of_a_proxy(manifest):
    assert not manifest["start_url"].startswith("/") and not manifest["scope"].startswith("/")
