"""Tests the content security policy."""

import pytest

pytestmark = pytest.mark.stand_in
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
          "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


def test_the_policy_is_sent_and_the_page_conforms(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.run("window.violations = []; addEventListener('securitypolicyviolation', (event) => violations.push(event.blockedURI))")
    page.sign_in().choose("703")
    assert page.module("return (await fetch('/')).headers.get('content-security-policy')") == POLICY
    assert page.run("return violations") == []


def test_the_page_has_no_inline_script_or_style(page):
    assert page.run("return document.querySelectorAll('script:not([src]), style, [style], [onclick], [onload]').length") == 0


def test_an_injected_script_does_not_run(page):
    page.run("const script = document.createElement('script'); script.textContent = 'window.ran = true'; document.body.append(script)")
    assert page.run("return window.ran") is None
    assert any("Content Security Policy" in message for message in page.log_errors())
