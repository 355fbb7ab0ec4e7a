"""Phones in a browser, Chromium, with media by WebRTC: `WebPhone` uses JsSIP and SIP over WebSocket, `VertoPhone` Verto. `webrtc/phone.js` and
`webrtc/verto.js` are their pages."""

import http.server
import math
import shutil
import struct
import subprocess
import threading
import time
import wave
from functools import partial
from pathlib import Path

from phone import DOMAIN
from switch import HERE

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
except ImportError:
    webdriver = None

SOURCE = HERE / "webrtc"
BUNDLER = SOURCE / "node_modules/.bin/esbuild"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
# The microphone is a file and needs no permission. Media may use loopback, and the browser makes no network requests of its own.
FLAGS = """--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync
--disable-dev-shm-usage --use-fake-device-for-media-stream --use-fake-ui-for-media-stream --autoplay-policy=no-user-gesture-required
--allow-loopback-in-peer-connection""".split()


def missing():
    """The name of a program that such a phone needs and that is not installed, or None."""
    needs = {"selenium": webdriver, "chromium": CHROMIUM, "chromedriver": DRIVER, "node": shutil.which("node"),
             "webrtc/node_modules": BUNDLER.exists()}
    return next((name for name, there in needs.items() if not there), None)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def _write_tone(path, frequency, rate=48000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", int(8000 * math.sin(2 * math.pi * frequency * n / rate))) for n in range(rate)))


class WebPhone:
    """The phone of one user, which sends a tone. `folder` is for its page and the browser's profile."""

    PAGE = "phone.js"

    def __init__(self, folder, ws_port, user, says):
        self.user = user
        voice = Path(folder) / "voice.wav"
        _write_tone(voice, says)
        page = Path(folder) / "page"
        page.mkdir()
        shutil.copy(SOURCE / "index.html", page)
        subprocess.run([BUNDLER, self.PAGE, "--bundle", "--log-level=warning", f"--outfile={page / 'bundle.js'}"], cwd=SOURCE, check=True)
        # A page may use the microphone if it comes by HTTP from loopback, not if it comes from a file.
        self.site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=page))
        threading.Thread(target=self.site.serve_forever, daemon=True).start()
        options = Options()
        options.binary_location = CHROMIUM
        for flag in [*FLAGS, f"--use-file-for-fake-audio-capture={voice}", f"--user-data-dir={Path(folder) / 'profile'}"]:
            options.add_argument(flag)
        self.driver = webdriver.Chrome(service=Service(DRIVER), options=options)
        self.driver.set_script_timeout(20)
        self.driver.get(f"http://127.0.0.1:{self.site.server_port}/")
        self.wait(f"phone.register({ws_port}, {user!r}, {DOMAIN!r})")

    def close(self):
        self.driver.quit()
        self.site.shutdown()
        self.site.server_close()

    def wait(self, promise):
        """The value of a JavaScript promise. It is an error if the promise is rejected."""
        answer = self.driver.execute_async_script(
            f"const done = arguments[arguments.length - 1];"
            f"Promise.resolve({promise}).then((value) => done({{value}}), (error) => done({{error: String(error)}}))")
        assert "error" not in answer, f"{promise}: {answer['error']}"
        return answer["value"]

    def call(self, number):
        return self.wait(f"phone.call({number!r})")

    def transfer(self, number):
        return self.wait(f"phone.transfer({number!r})")

    def hang_up(self):
        self.driver.execute_script("phone.hangUp()")

    def talks(self):
        return self.driver.execute_script("return phone.talks()")

    def received(self):
        return self.wait("phone.received()")

    def hears(self, frequency, within=5.0):
        """Waits until that frequency is the loudest of the received audio. Returns whether that happened in time."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            if abs(self.driver.execute_script("return phone.loudest()") - frequency) < 15:
                return True
            time.sleep(0.05)
        return False


class VertoPhone(WebPhone):
    PAGE = "verto.js"

    def press(self, keys):
        return self.wait(f"phone.press({keys!r})")
