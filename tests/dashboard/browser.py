"""Drives a headless Chromium by the WebDriver protocol, which is JSON over HTTP."""

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

PATIENCE = 20  # seconds
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"enter": "\ue007", "tab": "\ue004", "space": " ", "escape": "\ue00c", "up": "\ue013", "down": "\ue015",
        "left": "\ue012", "right": "\ue014", "shift": "\ue008"}


def find_programs():
    """Returns chromium and its driver, or None where either is missing."""
    found = shutil.which("chromium"), shutil.which("chromedriver")
    return found if all(found) else None


class Failure(Exception):
    """What the browser said no to."""


class Browser:
    """A window of its own: no profile, no cache, nothing kept."""

    def __init__(self, width=1280, height=900):
        chromium, driver = find_programs()
        self._profile = tempfile.TemporaryDirectory()
        self._driver = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True)
        self._session = None
        try:
            self._port = self._read_port()
            arguments = ["--headless=new", f"--user-data-dir={self._profile.name}", f"--window-size={width},{height}",
                         "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
                         "--disable-background-networking", "--disable-component-update", "--hide-scrollbars"]
            if os.geteuid() == 0:
                arguments.append("--no-sandbox")
            wanted = {"browserName": "chrome", "goog:chromeOptions": {"binary": chromium, "args": arguments},
                      "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
            made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/session/{made['sessionId']}"
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *trouble):
        self.close()

    def close(self):
        if self._session:
            with contextlib.suppress(Failure, OSError):
                self._ask("DELETE", self._session)
        self._driver.terminate()
        self._driver.wait()
        self._driver.stdout.close()
        self._profile.cleanup()

    def _read_port(self):
        for line in self._driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return int(found[1])
        raise Failure("chromedriver did not start")

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE * 3)
        try:
            connection.request(method, path, body=json.dumps(body) if body is not None else None)
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise Failure(f"{value['error']}: {value['message'].splitlines()[0]}")
        return value

    def do(self, what, body=None, method="POST"):
        return self._ask(method, f"{self._session}/{what}", {} if body is None and method == "POST" else body)

    def devtools(self, command, **parameters):
        return self.do("goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, address):
        self.do("url", {"url": address})

    def run(self, script, *arguments):
        """Returns what the body of a function returns in the page."""
        return self.do("execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.do("element", {"using": "css selector", "value": selector})[ELEMENT]

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? null", selector)

    def click(self, selector):
        self.do(f"element/{self.find(selector)}/click")

    def write(self, selector, text):
        element = self.find(selector)
        self.do(f"element/{element}/clear")
        self.do(f"element/{element}/value", {"text": text})

    def press(self, *keys, held=()):
        """Presses keys, by name or as text, wherever the focus is."""
        strokes = []
        for key in held:
            strokes.append({"type": "keyDown", "value": KEYS[key]})
        for key in keys:
            for each in [KEYS[key]] if key in KEYS else key:
                strokes += [{"type": "keyDown", "value": each}, {"type": "keyUp", "value": each}]
        for key in held:
            strokes.append({"type": "keyUp", "value": KEYS[key]})
        self.do("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def wait(self, script, *arguments, patience=PATIENCE):
        """Returns the first value of `script` that is true."""
        until = time.monotonic() + patience
        while True:
            value = self.run(script, *arguments)
            if value:
                return value
            if time.monotonic() > until:
                raise AssertionError(f"after {patience} s still not so: {script} {arguments}")
            time.sleep(0.1)

    def wait_for_text(self, selector, words, patience=PATIENCE):
        return self.wait("return (document.querySelector(arguments[0])?.innerText ?? '').includes(arguments[1])",
                         selector, words, patience=patience)

    def console(self):
        """Returns what the console was told since the last call, of warnings and worse."""
        return [entry for entry in self.do("se/log", {"type": "browser"}) if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self):
        """Returns the addresses that were asked for since the last call."""
        asked = []
        for entry in self.do("se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.append(message["params"]["request"]["url"])
        return asked

    def media(self, **features):
        """Sets media features such as prefers_color_scheme="dark"."""
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def size(self, width, height, scale=1, mobile=False):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                      mobile=mobile)

    def screenshot(self, file, whole=True):
        """Writes the page as a PNG."""
        height = self.run("return document.documentElement.scrollHeight") if whole else None
        clip = {"x": 0, "y": 0, "width": self.run("return innerWidth"), "height": height, "scale": 1} if whole else None
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole,
                             **({"clip": clip} if clip else {}))
        with open(file, "wb") as out:
            out.write(base64.b64decode(shot["data"]))
