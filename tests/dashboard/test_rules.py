"""Tests what the page computes: urgency, times, and waits with a wrong clock."""

import pytest

pytestmark = pytest.mark.stand_in


def test_urgency_follows_the_service_level(page):
    assert page.module("""
      const { urgency } = await import('./calls.js');
      return [0, 29_999, 30_000, 60_000, 60_001].map((ms) => urgency(ms, 60));
    """) == ["fresh", "fresh", "soon", "soon", "late"]


def test_a_wrong_clock_changes_no_wait(page):
    assert page.module("""
      const { anchor, waiting } = await import('./calls.js');
      const elsewhere = Date.now() - 3_600_000;
      const call = anchor({ parked_at: elsewhere - 5_000, wait_ms: 5_000, timeout_at: elsewhere + 85_000 }, 1_000);
      return [waiting(call, 1_000), call.due - 1_000, anchor({ parked_at: 0, wait_ms: 0, timeout_at: null }).due];
    """) == [5000, 85000, None]


def test_durations(page):
    assert page.module("""
      const { duration } = await import('./time.js');
      return [-1, 0, 7_999, 60_000, 3_723_000].map(duration);
    """) == ["0:00", "0:00", "0:07", "1:00", "1:02:03"]


def test_a_template_is_shown_only_without_other_lots(page):
    assert page.module("""
      const { inUse } = await import('./boards.js');
      const [lot, template] = [{ domain: 'example.com' }, { domain: '*' }];
      return [inUse([template, lot]).length, inUse([template]).length];
    """) == [1, 1]


def test_a_call_in_a_removed_slot_or_lot_is_shown(page):
    assert page.module("""
      const { Boards } = await import('./boards.js');
      const call = (lot, slot) => ({ lot, slot, domain: 'example.com', state: 'parked', caller_name: slot, caller_number: '', parker: '',
        label: '', since: 0, due: null });
      const root = document.createElement('div');
      const lots = [{ lot: 'main', domain: 'example.com', size: 1, used: 1, free: 1, service_level: 60, slots: [{ slot: '701', label: '' }] }];
      new Boards(root, null).show(lots, [call('main', '799'), call('gone', '801')]);
      return [...root.querySelectorAll('.name')].map((name) => name.textContent);
    """) == ["799", "801"]
