"""Controls the dashboard in a browser: reads what is shown, clicks and types."""

import time

try:
    from selenium import webdriver
    from selenium.common.exceptions import (ElementNotInteractableException, JavascriptException, NoSuchElementException,
                                            StaleElementReferenceException)
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:  # without selenium the tests are skipped and counted
    webdriver = Keys = None

FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --disable-dev-shm-usage --lang=en").split()
# A busy machine gets this multiple of the seconds that the tests name. test_board measures how fast the page is.
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
    """Waits until `condition` returns a true value, and returns it. Errors because the page is just being redrawn are ignored."""
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
        self.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": "", "acceptLanguage": ""})
        self.prefer("light")
        # Not on the page itself, which may just be signing in with the token of the test before, and keep it.
        self.driver.get(f"{self.site.url}icon.svg")
        self.run("sessionStorage.clear(); localStorage.clear()")
        self.driver.get(self.site.url)
        before = self.driver.get_log("browser")
        try:
            until(lambda: self.one("#sign-in").is_displayed(), 3, "sign-in is shown")
        except AssertionError as error:
            loaded = self.run("return performance.getEntriesByType('resource').map(it => [it.name, it.responseStatus, Math.round(it.responseEnd)])")
            state = self.run("return [location.href, document.readyState, document.body.outerHTML.slice(0, 300)]")
            raise AssertionError(f"{error}\n{state}\n{loaded}\n{before + self.driver.get_log('browser')}") from None

    def sign_in(self, token=None):
        # After a reload the page first fetches its texts.
        until(lambda: self.one("#token").send_keys(token or self.site.token, Keys.ENTER) or True, 5, "the sign-in is shown")
        until(lambda: self.run("return document.body.dataset.connection") == "live" and self.text("#refused") and self.all("#boards > *"), 5, "the dashboard is shown")
        return self

    def size(self, size):
        width, height = size
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})

    def prefer(self, scheme, motion="reduce"):
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": name, "value": value} for name, value in features.items()]})

    def prefer_languages(self, languages):
        """The browser's preference, such as "de-AT,de,en"."""
        agent = self.run("return navigator.userAgent")
        self.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": languages})
        self.driver.refresh()

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def module(self, script):
        """Runs the body of an async function, which may import the page's modules, and returns what it returns."""
        return self.driver.execute_async_script(
            f"const done = arguments[0]; (async () => {{ {script} }})().then(done, (error) => done(String(error)))")

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        """Waits for an element and returns it. The board appears a moment after the sign-in."""
        return until(lambda: self.all(selector), 3, f"{selector} is on the page")[0]

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def connection(self):
        return self.text("#connection")

    def slot(self, number):
        """The text of the slot on the board, or an empty string if the slot is not shown."""
        return self.text(f'#boards [data-slot="{number}"]')

    def shows(self, number, words, seconds=1.0):
        until(lambda: words in self.slot(number), seconds, f"slot {number} shows {words!r}, not {self.slot(number)!r}")

    def wait_of(self, number):
        return seconds(self.text(f'#boards [data-slot="{number}"] .wait'))

    def timeout_of(self, number):
        return seconds(self.text(f'#boards [data-slot="{number}"] .due').removeprefix("time-out "))

    def later(self, seconds):
        """Sets the page's clock ahead, until the page fetches the calls again."""
        self.run(f"performance.now = () => Performance.prototype.now.call(performance) + {seconds * 1000}")

    def choose(self, number):
        until(lambda: self.pressed(f'#boards [data-slot="{number}"] button') and self.dialog_open(), 3, f"the dialog of {number} is open")

    def pressed(self, selector):
        """Clicks the element unless the dialog is open. It always returns true."""
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
            until(typed, 2, f"{text!r} is in the field of {verb}")
        self.one(f'form[data-verb="{verb}"] button').click()

    def drag(self, source, target, release=True):
        """Moves the mouse, with its button pressed, from the left of one element to the middle of another, in steps."""
        self.one(target)
        self.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", source)
        x, y = self.run("const box = document.querySelector(arguments[0]).getBoundingClientRect(); return [box.left + 30, box.top + 15]", source)
        self.mouse("mousePressed", x, y)
        for _ in range(2):  # the first move begins the drag
            x, y = self.run("""
              document.querySelector(arguments[0]).scrollIntoView({ block: 'nearest' });
              const box = document.querySelector(arguments[0]).getBoundingClientRect();
              return [box.left + box.width / 2, box.top + box.height / 2];""", target)
            self.mouse("mouseMoved", x, y)
        self.at = x, y
        if release:
            self.release()

    def release(self):
        self.mouse("mouseReleased", *self.at)

    def mouse(self, kind, x, y):
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "button": "left",
                                    "buttons": int(kind != "mouseReleased"), "clickCount": 1})

    def press(self, *keys):
        """Presses keys, which reach whatever has the focus, as those of a keyboard do."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def replace(self, text):
        """Types over the text of the field that has the focus."""
        ActionChains(self.driver).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys(text).perform()

    def focused(self, selector):
        return self.run("return document.activeElement.matches(arguments[0])", selector)

    def log_errors(self):
        """The messages in the browser's log, except about refused requests and failed connections, which tests cause."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["source"] != "network"]


def seconds(clock):
    """"1:02:03" -> 3723."""
    total = 0
    for part in clock.split(":"):
        total = total * 60 + int(part)
    return total
