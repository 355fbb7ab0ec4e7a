"""Tests the sign-in with a token."""

from browser import Keys, until


def test_a_wrong_token_is_refused(page):
    page.one("#token").send_keys("wrong", Keys.ENTER)
    until(lambda: "does not know this token" in page.text("#sign-in-error"), 2, "the error is shown")
    assert page.focused("#token") and not page.one("#dashboard").is_displayed()
    page.sign_in()
    assert page.one("#dashboard").is_displayed() and not page.one("#sign-in").is_displayed()


def test_text_that_no_header_can_have_is_a_wrong_token(page):
    page.one("#token").send_keys("→ токен", Keys.ENTER)
    until(lambda: "does not know this token" in page.text("#sign-in-error"), 2, "the error is shown")


def test_a_failed_connection_has_another_message_than_a_wrong_token(page, site):
    site.down()
    page.one("#token").send_keys(site.token, Keys.ENTER)
    until(lambda: "does not answer" in page.text("#sign-in-error"), 3, "the error is shown")
    site.up()
    page.sign_in()


def test_the_token_is_kept_until_the_tab_is_closed(page, site):
    site.park("Anna Berg", "+49 30 901820", "702")
    page.sign_in()
    page.driver.refresh()
    page.shows("702", "Anna Berg", 3)
    assert page.run("return Object.keys(localStorage).length + document.cookie.length") == 0
    assert site.token not in page.driver.current_url


def test_sign_out_removes_the_token_and_all_data(page, site):
    site.park("Anna Berg", "+49 30 901820", "702")
    page.sign_in().shows("702", "Anna Berg")
    page.one("#sign-out").click()
    assert page.one("#sign-in").is_displayed() and not page.one("#dashboard").is_displayed()
    assert "Anna" not in page.driver.page_source
    assert page.run("return sessionStorage.length") == 0
    page.sign_in().shows("702", "Anna Berg")
