"""Headless Chromium for tests that look at pages; a skip with the reason where there is none."""

import io
import shutil
import time
from contextlib import contextmanager

import numpy as np
import pytest

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist", "--hide-scrollbars", "--disable-dev-shm-usage",
)  # fmt: skip


@contextmanager
def browser(folder, width=1280, height=860, mobile=False):
    """A Chromium of its own, driven by selenium."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs Chromium and chromedriver (apt install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (pip install selenium)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--window-size={width},{height}", f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    if mobile:
        metrics = {"width": width, "height": height, "pixelRatio": 2.0}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield session
    finally:
        session.quit()


def pixels(session):
    """(H, W, 3) uint8 of what the page shows."""
    from PIL import Image

    return np.array(Image.open(io.BytesIO(session.get_screenshot_as_png())).convert("RGB"))


def count(picture, colour, tolerance=40):
    """Pixels whose every channel is within `tolerance` of a colour."""
    near = np.abs(picture.astype(int) - np.array(colour)).max(axis=-1) <= tolerance
    return int(near.sum())


def wait_for(session, condition, timeout):
    """The first screenshot for which `condition(picture)` is true; the last one when time is over."""
    deadline = time.monotonic() + timeout
    picture = pixels(session)
    while not condition(picture) and time.monotonic() < deadline:
        time.sleep(0.5)
        picture = pixels(session)
    return picture
