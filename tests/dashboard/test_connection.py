"""Tests that the page shows a lost connection and reconnects by itself."""

from browser import until


def test_after_a_lost_connection_the_page_shows_what_happened_meanwhile(page, site):
    site.park("Anna Berg", "+49 30 901820", "703")
    page.sign_in().shows("703", "Anna Berg")
    site.down()
    until(lambda: "Connection lost, trying again" in page.connection(), 2, "the lost connection is shown")
    until(lambda: float(page.run("return getComputedStyle(document.querySelector('.dashboard')).opacity")) < 0.7, 2, "boards are grey")
    site.end("703", "retrieved")
    site.park("Mr Chen", "+44 20 7946 0991", "704")
    site.up()
    until(lambda: page.connection() == "Live", 6, "the page is connected")
    page.shows("704", "Mr Chen")
    page.shows("703", "free")
    site.park("Olga Petrova", "+7 495 123 4567", "705")
    page.shows("705", "Olga Petrova")


def test_the_page_reconnects_twice(page, site):
    page.sign_in()
    for _ in range(2):
        site.down()
        until(lambda: "Connection lost" in page.connection(), 2, "the lost connection is shown")
        site.up()
        until(lambda: page.connection() == "Live", 8, "the page is connected")


def test_a_silent_stream_counts_as_a_lost_connection(page):
    # The timers run a hundred times faster here, so that 25 s without data last a quarter of a second.
    seen = page.module("""
      const { Stream } = await import('./stream.js');
      const real = window.setTimeout;
      window.setTimeout = (run, ms) => real(run, ms / 100);
      const silent = (signal) => new Response(new ReadableStream({
        start: (stream) => signal.addEventListener('abort', () => stream.error(signal.reason)) }));
      const seen = [], note = (word) => () => seen.push(word), began = performance.now();
      const stream = new Stream({ events: async (signal) => silent(signal) },
        { open: note('open'), lost: () => seen.push('lost', performance.now() - began), change() {}, refused() {} });
      stream.run();
      for (let tries = 0; seen.length < 4 && tries < 100; tries++) await new Promise((resolve) => real(resolve, 50));
      stream.close();
      return seen;
    """)
    assert seen[:2] == ["open", "lost"] and seen[2] >= 240 and seen[3] == "open"


def test_events_are_parsed_wherever_the_data_is_split(page):
    events = page.module(r"""
      const { EventParser } = await import('./stream.js');
      const sent = ': ping\n\nevent: change\ndata: {"a":1}\n\nevent: change\r\ndata: 2\r\ndata: 3\r\n\r\n: ping\n\n';
      const whole = [...new EventParser().feed(sent)];
      const letters = new EventParser();
      return [whole, [...sent].flatMap((letter) => [...letters.feed(letter)])];
    """)
    assert events == [['{"a":1}', "2\n3"]] * 2


def test_continuous_changes_do_not_delay_the_refresh(page):
    fetched = page.module("""
      const { Refresher } = await import('./refresher.js');
      const fetched = [];
      const refresher = new Refresher(async () => fetched.push(performance.now()), { soon: 50, every: 0 });
      const storm = setInterval(() => refresher.ask(), 5);
      await new Promise((resolve) => setTimeout(resolve, 600));
      clearInterval(storm);
      return fetched.length;
    """)
    assert 2 <= fetched <= 13
