"""The dashboard in a headless Chromium, against `engram start`: what it shows, and that it works by mouse, by
keyboard, in the dark and on a phone."""

import os
import pathlib
import sys
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "app"))

from browser import Browser, find_programs  # noqa: E402
from engram_command import CommandTest, Daemon  # noqa: E402

SKIPPED = 77
SEARCH = {"collection": "things", "query": [0, 1], "k": 1, "deadline_ms": 30000}
LIVE = "return document.querySelector('#live').innerText.trim() === 'live'"
FOCUSED = "return document.activeElement.id || document.activeElement.name || document.activeElement.tagName"


class DashboardTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.daemon = Daemon(cls.store, "--gpu.devices", "sim:h100", "--faults.admin_enabled", "true",
                            "--server.threads", "32")
        cls.enterClassContext(cls.daemon)
        cls.page = f"http://127.0.0.1:{cls.daemon.port}/"
        cls.browser = Browser()
        cls.enterClassContext(cls.browser)

    def setUp(self):
        self.browser.media(prefers_color_scheme="light")
        self.browser.size(1280, 900)
        self.show(self.page)

    def tearDown(self):
        self.assertEqual(self.browser.console(), [])

    def show(self, page):
        self.browser.requests()
        self.browser.open(page)
        self.browser.wait(LIVE)

    def figure(self, actor):
        return f"[data-actor={actor}] .value"

    def tab_to(self, wanted, most=60):
        """Presses Tab until the element with this id has the focus; it must be seen to have it."""
        for _ in range(most):
            self.browser.press("tab")
            if self.browser.run(FOCUSED) == wanted:
                outline = self.browser.run(
                    "const e = document.activeElement; const s = getComputedStyle(e);"
                    "return [e.matches(':focus-visible'), s.outlineStyle, parseFloat(s.outlineWidth)]")
                self.assertEqual(outline[:2], [True, "solid"], wanted)
                self.assertGreaterEqual(outline[2], 2, wanted)
                return
        self.fail(f"Tab does not reach {wanted}")


class PageTest(DashboardTest):
    def test_loads_what_it_needs_from_this_host_and_nothing_else(self):
        self.browser.wait("return Number(document.documentElement.dataset.samples) >= 1")
        hosts = {urllib.parse.urlsplit(address).netloc for address in self.browser.requests()
                 if address.startswith(("http", "ws"))}
        self.assertEqual(hosts, {f"127.0.0.1:{self.daemon.port}"})
        self.assertIn("ready", self.browser.text("#state"))
        # The policy is in force: markup cannot bring a script or a style of its own.
        self.assertTrue(self.browser.run(
            "const s = document.createElement('script'); s.textContent = 'window.broken = 1';"
            "document.body.append(s); s.remove(); return window.broken === undefined"))
        refusals = self.browser.console()
        self.assertEqual(len(refusals), 1, refusals)
        self.assertIn("Content Security Policy", refusals[0]["message"])

    def test_shows_every_actor_and_device(self):
        shown = self.browser.run("return [...document.querySelectorAll('[data-actor]')].map(e => e.dataset.actor)")
        self.assertEqual(shown, ["ingest", "batcher", "router", "cpu_worker", "gpu0_worker", "answers", "supervisor",
                                 "telemetry"])
        self.assertIn("restarts 0", self.browser.text("[data-actor=router]"))
        self.assertIn("breaker closed", self.browser.text("[data-device=gpu0]"))
        self.assertIn("simulated", self.browser.text("[data-device=gpu0]"))

    def test_numbers_follow_the_requests(self):
        rate = self.browser.text(self.figure("answers"))
        self.assertTrue(rate.startswith("0"), rate)
        for _ in range(5):
            self.assertEqual(self.daemon.request("POST", "/v1/search", SEARCH)[0], 200)
        self.browser.wait("return !document.querySelector(arguments[0]).innerText.startsWith('0\\n') && "
                          "parseFloat(document.querySelector(arguments[0]).innerText) > 0", self.figure("answers"))
        self.browser.wait_for_text("#routes", "cpu")
        self.browser.wait_for_text("#latency-say", "p99")
        self.assertTrue(self.browser.run("return document.querySelector('#answers-chart + .empty').hidden"))

    def test_search_and_spread_by_mouse(self):
        self.browser.wait_for_text("#search-in", "things")
        self.browser.write("#search-text", "0, 1")
        self.browser.click("#search-form button")
        self.browser.wait_for_text("#search-outcome", "north")
        hits = self.browser.run("return [...document.querySelectorAll('#search-outcome .label')].map(e => e.innerText)")
        self.assertEqual(hits[:2], ["north", "north-east"])
        trace = self.browser.text("#search-outcome .trace")
        self.assertIn("answered by", trace)
        self.assertIn("kernel", trace)
        self.browser.write("#spread-text", "east = 0.5")
        self.browser.click("#spread-form button")
        self.browser.wait_for_text("#spread-outcome", "north")
        self.assertIn("0.5000", self.browser.text("#spread-outcome .hits"))

    def test_search_and_spread_by_keyboard_alone(self):
        self.browser.wait_for_text("#search-in", "things")
        self.browser.press("tab")
        self.assertEqual(self.browser.run("return document.activeElement.className"), "skip")
        self.browser.press("enter")
        self.tab_to("search-in", most=3)
        self.tab_to("search-k", most=1)
        self.tab_to("search-text", most=1)
        self.browser.press("1, 0", "enter")
        self.browser.wait_for_text("#search-outcome", "east")
        self.tab_to("spread-text", most=6)
        self.browser.press("east", "tab", "space")
        self.browser.wait_for_text("#spread-outcome", "north")

    def test_mistakes_are_answered_with_the_server_s_sentence(self):
        self.browser.wait_for_text("#search-in", "things")
        self.browser.write("#search-text", "1, 2, 3")
        self.browser.click("#search-form button")
        self.browser.wait_for_text("#search-outcome [role=alert]", "3")
        noted = self.browser.console()
        self.assertEqual(len(noted), 1, noted)  # Chromium notes every refusal
        self.assertIn("400", noted[0]["message"])

    def test_everything_can_be_reached_and_has_a_name(self):
        nameless = self.browser.run(
            "return [...document.querySelectorAll('input, select, button, canvas, meter:not([aria-hidden])')]"
            ".filter(e => !(e.labels?.length && e.labels[0].innerText.trim()) && !e.ariaLabel && !e.innerText?.trim() &&"
            " !document.getElementById(e.getAttribute('aria-labelledby'))).map(e => e.outerHTML)")
        self.assertEqual(nameless, [])
        self.browser.run("document.querySelector('input[name=range]:checked').focus()")
        self.browser.press("left")
        self.assertEqual(self.browser.run("return document.querySelector('input[name=range]:checked').value"), "300")


class LooksTest(DashboardTest):
    BACKGROUND = "return getComputedStyle(document.body).backgroundColor"

    def test_the_dark_is_followed_and_can_be_chosen(self):
        light = self.browser.run(self.BACKGROUND)
        self.browser.media(prefers_color_scheme="dark")
        dark = self.browser.run(self.BACKGROUND)
        self.assertNotEqual(light, dark)
        self.browser.click("#theme")
        self.assertEqual((self.browser.text("#theme"), self.browser.run(self.BACKGROUND)), ("Theme: light", light))
        self.browser.click("#theme")
        self.browser.media(prefers_color_scheme="light")
        self.assertEqual((self.browser.text("#theme"), self.browser.run(self.BACKGROUND)), ("Theme: dark", dark))
        self.show(self.page)
        self.assertEqual(self.browser.run(self.BACKGROUND), dark)
        self.browser.click("#theme")
        self.assertEqual((self.browser.text("#theme"), self.browser.run(self.BACKGROUND)), ("Theme: auto", light))

    def test_text_has_contrast_in_both_themes(self):
        script = """
          const lightness = (name) => {
            const probe = document.body.appendChild(document.createElement('i'));
            probe.style.color = `var(--${name})`;
            const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map((v) => {
              v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
            probe.remove();
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
          };
          const pairs = [['ink', 'page'], ['ink', 'card'], ['muted', 'page'], ['muted', 'card'], ['muted', 'raised'],
            ['accent', 'card'], ['accent-ink', 'accent'], ['good', 'good-tint'], ['warn', 'warn-tint'],
            ['bad', 'bad-tint'], ['bad', 'card'], ['warn', 'card'], ['good', 'card'], ['accent', 'accent-tint']];
          return pairs.map(([a, b]) => {
            const [x, y] = [lightness(a), lightness(b)].sort((m, n) => n - m);
            return [a, b, (x + 0.05) / (y + 0.05)];
          }).filter(([, , contrast]) => contrast < 4.5);"""
        for scheme in ("light", "dark"):
            self.browser.media(prefers_color_scheme=scheme)
            self.assertEqual(self.browser.run(script), [], scheme)

    def test_a_phone_scrolls_one_way_only(self):
        for width in (320, 390, 768):
            self.browser.size(width, 844, mobile=True)
            self.show(self.page)
            self.assertEqual(self.browser.run("return document.documentElement.scrollWidth"), width)
        small = self.browser.run("return [...document.querySelectorAll('button, .fields input, .fields select')]"
                                 ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 28)"
                                 ".map(e => e.id)")
        self.assertEqual(small, [])


class TokenTest(DashboardTest):
    QUERY, ADMIN = "q" * 40, "a" * 40

    def test_a_token_is_asked_for_and_kept_until_the_tab_is_closed(self):
        file = self.folder / "tokens"
        file.write_text(f"query {self.QUERY} reader\nadmin {self.ADMIN} ops\n")
        file.chmod(0o600)
        with Daemon(self.store, "--tokens-file", file) as daemon:
            page = f"http://127.0.0.1:{daemon.port}/"
            self.browser.open(page)
            self.browser.wait("return document.querySelector('#token-dialog').open")
            self.browser.press("wrong", "enter")
            self.browser.wait_for_text("#token-why", "That token will not do")
            self.browser.wait("return document.querySelector('#token-dialog').open")
            self.browser.press(self.QUERY, "enter")
            self.browser.wait(LIVE)
            self.browser.wait_for_text("#search-in", "things")
            self.show(page)
            self.assertFalse(self.browser.run("return document.querySelector('#token-dialog').open"))
            self.assertEqual(self.browser.run("return Object.values(sessionStorage)"), [self.QUERY])
            self.assertNotIn(self.QUERY, self.browser.run("return Object.values(localStorage)"))
            self.browser.open("about:blank")
            self.assertEqual(daemon.end(), 0)
        self.assertTrue(all("401" in entry["message"] for entry in self.browser.console()))


class TroubleTest(DashboardTest):
    def test_a_breaker_that_opens_is_seen_and_told(self):
        fault = {"faults": ["gpu0.launch=return(sticky)", "actor.router=1*exit"]}
        self.assertEqual(self.daemon.request("PUT", "/v1/admin/faults", fault)[0], 200)
        # The GPU's canaries meet the fault, whether or not a request is sent there.
        self.assertEqual(self.daemon.request("POST", "/v1/search", SEARCH)[0], 200)
        self.browser.wait_for_text("[data-device=gpu0]", "breaker open")
        self.browser.wait_for_text("[data-actor=gpu0_worker]", "breaker open")
        self.browser.wait_for_text("#state", "ready without gpu0")
        self.browser.wait_for_text("#events", "gpu0.launch")
        self.browser.wait_for_text("[data-actor=router]", "restarts 1")


class OverrideTest(DashboardTest):
    def test_what_an_operator_said_of_a_breaker_is_seen(self):
        path = "/v1/admin/devices/gpu0/breaker"
        for word in ("closed", "open"):
            self.assertEqual(self.daemon.request("PUT", path, {"override": word})[0], 200)
            self.browser.wait_for_text("[data-device=gpu0]", f"held {word} by hand")


class StartedAgainTest(DashboardTest):
    def test_it_comes_back_with_the_server(self):
        port = self.daemon.port
        self.assertEqual(self.daemon.end(), 0)
        self.browser.wait_for_text("#live", "reconnecting")
        self.assertIn("Trying again", self.browser.text("#trouble"))
        with Daemon(self.store, port=port) as again:
            self.assertEqual(again.port, port)
            self.browser.wait(LIVE)
            self.browser.wait_for_text("#devices", "No GPU")  # this one has none
            self.assertFalse(self.browser.run("return document.querySelector('#trouble').offsetParent !== null"))
            self.browser.console()  # the connections that were refused meanwhile
            self.assertEqual(again.end(), 0)
        self.browser.open("about:blank")
        self.browser.console()


if __name__ == "__main__":
    if not find_programs():
        print("chromium or chromedriver is missing: scripts/bootstrap installs them", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") else SKIPPED)
    unittest.main(verbosity=2)
