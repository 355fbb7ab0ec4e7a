"""Nobody sees anything without a token."""

from browser import Keys, until


def test_a_wrong_token_is_told_and_asked_again(page):
    page.one("#token").send_keys("wrong", Keys.ENTER)
    until(lambda: "does not know this token" in page.text("#sign-in-error"), 2, "the error is shown")
    assert page.focused("#token") and not page.one("#dashboard").is_displayed()
    page.sign_in()
    assert page.one("#dashboard").is_displayed() and not page.one("#sign-in").is_displayed()


def test_what_no_header_can_carry_is_a_wrong_token(page):
    page.one("#token").send_keys("→ токен", Keys.ENTER)
    until(lambda: "does not know this token" in page.text("#sign-in-error"), 2, "the error is shown")


def test_a_server_that_is_away_is_told_apart_from_a_wrong_token(page, site):
    site.down()
    page.one("#token").send_keys(site.token, Keys.ENTER)
    until(lambda: "does not answer" in page.text("#sign-in-error"), 3, "the error is shown")
    site.up()
    page.sign_in()


def test_the_token_lives_as_long_as_the_tab(page, site):
    site.park("Anna Berg", "+49 30 901820", "702")
    page.sign_in()
    page.driver.refresh()
    page.shows("702", "Anna Berg", 3)
    assert page.run("return Object.keys(localStorage).length + document.cookie.length") == 0
    assert site.token not in page.driver.current_url


def test_sign_out_leaves_nothing_behind(page, site):
    site.park("Anna Berg", "+49 30 901820", "702")
    page.sign_in().shows("702", "Anna Berg")
    page.one("#sign-out").click()
    assert page.one("#sign-in").is_displayed() and not page.one("#dashboard").is_displayed()
    assert "Anna" not in page.driver.page_source
    assert page.run("return sessionStorage.length") == 0
    page.sign_in().shows("702", "Anna Berg")
