"""A person in front of the page: reads what is on the screen, clicks, types."""

import time

try:
    from selenium import webdriver
    from selenium.common.exceptions import (ElementNotInteractableException, JavascriptException, NoSuchElementException,
                                            StaleElementReferenceException)
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:  # the tests are collected, counted and skipped without it
    webdriver = Keys = None

FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --disable-dev-shm-usage").split()
# Tests name the seconds of a machine at leisure; one that is busy with other things gets so many times that. How quick the page
# is, test_board measures.
PATIENCE = 6
DESK, PHONE, WALL = (1280, 900), (390, 844), (1920, 1080)


def start_browser(chromium, driver, profile):
    options = Options()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service(driver), options=options)


def until(condition, seconds, what):
    """Returns the first true answer; a page that is just drawing again is asked again."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        try:
            if answer := condition():
                return answer
        except (StaleElementReferenceException, JavascriptException, ElementNotInteractableException, NoSuchElementException):
            pass
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds * PATIENCE} s: {what}")
        time.sleep(0.03)


class Page:
    def __init__(self, driver, site):
        self.driver, self.site = driver, site

    def open(self):
        self.size(DESK)
        self.prefer("light")
        self.driver.get(self.site.url)
        self.run("sessionStorage.clear()")
        self.driver.refresh()
        self.driver.get_log("browser")
        until(lambda: self.one("#sign-in").is_displayed(), 3, "sign-in is shown")

    def sign_in(self, token=None):
        self.one("#token").send_keys(token or self.site.token, Keys.ENTER)
        until(lambda: self.connection() == "Live" and self.text("#refused"), 5, "signed in, and all is shown")
        return self

    def size(self, size):
        width, height = size
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})

    def prefer(self, scheme, motion="reduce"):
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": name, "value": value} for name, value in features.items()]})

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def module(self, script):
        """Runs the body of an async function, which may import the page's modules, and returns what it returns."""
        return self.driver.execute_async_script(
            f"const done = arguments[0]; (async () => {{ {script} }})().then(done, (error) => done(String(error)))")

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        """Waits for it, as a person would: what is on the board comes a moment after the sign-in."""
        return until(lambda: self.all(selector), 3, f"{selector} is on the page")[0]

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def connection(self):
        return self.text("#connection")

    def slot(self, number):
        """What the slot's place on the board says; empty where there is no such place."""
        return self.text(f'#boards [data-slot="{number}"]')

    def shows(self, number, words, seconds=1.0):
        until(lambda: words in self.slot(number), seconds, f"slot {number} shows {words!r}, not {self.slot(number)!r}")

    def wait_of(self, number):
        return seconds(self.text(f'#boards [data-slot="{number}"] .wait'))

    def timeout_of(self, number):
        return seconds(self.text(f'#boards [data-slot="{number}"] .due').removeprefix("time-out "))

    def later(self, seconds):
        """Lets the page's clock run ahead, until it fetches the calls again."""
        self.run(f"performance.now = () => Performance.prototype.now.call(performance) + {seconds * 1000}")

    def choose(self, number):
        until(lambda: self.pressed(f'#boards [data-slot="{number}"] button') and self.dialog_open(), 3, f"the dialog of {number} is open")

    def pressed(self, selector):
        """Clicks it unless the dialog is open already."""
        if not self.dialog_open():
            self.one(selector).click()
        return True

    def dialog_open(self):
        return self.run("return document.querySelector('dialog').open")

    def act(self, verb, text=None):
        def field():
            return self.one(f'form[data-verb="{verb}"] input')

        def typed():
            field().clear()
            field().send_keys(text)
            return field().get_attribute("value") == text

        if text is not None:
            until(typed, 2, f"{text!r} stands in the field of {verb}")
        self.one(f'form[data-verb="{verb}"] button').click()

    def press(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    def focused(self, selector):
        return self.run("return document.activeElement.matches(arguments[0])", selector)

    def complaints(self):
        """All that the browser logged, except that a server refused or was away: tests do that on purpose."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["source"] != "network"]


def seconds(clock):
    """"1:02:03" -> 3723."""
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return total
