//! Pages: calls the phones of a dial string, which answer by themselves, and says which slot a call is in.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::call_log::log_call;
use super::page_phones::phones_of;
use super::template::{call_field, fill_in, is_part_of_address};
use super::{ParkingService, Prompt};
use crate::freeswitch::{self, CancelToken, Dial, HangupCause, Leg, OriginateError, PlayToEnd};
use crate::parking::{Call, CallInfo, MonotonicTime};

/// How long a page may ring. Phones that answer by themselves answer within a second.
const PAGE_RING_TIMEOUT: Duration = Duration::from_secs(15);
/// The maximum duration of a page. The core ends it.
const MAX_PAGE_DURATION: Duration = Duration::from_secs(30);
/// The maximum number of pages that wait for the same phones.
const MAX_WAITING_PAGES: usize = 10;

/// The variable of a paged leg with the dial string whose page ends with the leg.
const PAGE_VARIABLE: &str = "callpark_page";

/// The pages in progress, one for each dial string. Others for the same dial string wait.
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<HashMap<String, PageQueue>>);

#[derive(Debug)]
struct PageQueue {
    since: MonotonicTime,
    /// The number of phones on which the page has not ended.
    phones: usize,
    waiting: VecDeque<Page>,
}

#[derive(Clone, Debug)]
struct Page {
    dial: String,
    info: Arc<CallInfo>,
    label: Arc<str>,
}

/// When a page begins.
enum PageStart {
    Now,
    /// After those that wait for the same phones.
    Later,
    /// Too many wait already.
    Never,
}

impl Pages {
    /// Returns when a page begins. A page whose end was not noticed delays the next one no longer than its maximum duration.
    fn begin(&self, page: &Page) -> PageStart {
        let now = freeswitch::now();
        let mut queues = self.0.lock();
        match queues.get_mut(&page.dial) {
            Some(queue) if now.since(queue.since) < PAGE_RING_TIMEOUT + MAX_PAGE_DURATION + PAGE_RING_TIMEOUT => {
                if queue.waiting.len() >= MAX_WAITING_PAGES {
                    return PageStart::Never;
                }
                queue.waiting.push_back(page.clone());
                PageStart::Later
            }
            Some(queue) => {
                queue.since = now;
                queue.phones = 0;
                PageStart::Now
            }
            None => {
                queues.insert(page.dial.clone(), PageQueue { since: now, phones: 0, waiting: VecDeque::new() });
                PageStart::Now
            }
        }
    }

    /// Notes how many phones a page calls.
    fn note_phones(&self, dial: &str, phones: usize) {
        if let Some(queue) = self.0.lock().get_mut(dial) {
            queue.phones = phones;
        }
    }

    /// Ends a page on one phone. Returns the next page for the same phones, if it was the last phone.
    fn end(&self, dial: &str) -> Option<Page> {
        let now = freeswitch::now();
        let mut queues = self.0.lock();
        let queue = queues.get_mut(dial)?;
        queue.phones = queue.phones.saturating_sub(1);
        if queue.phones > 0 {
            return None;
        }
        queue.since = now;
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queues.remove(dial);
        }
        next
    }
}

impl ParkingService {
    /// Pages the phones of a dial string of `notify`.
    pub(super) fn page_slot(self: &Arc<Self>, call: &Call, dial: &str) {
        let dial = fill_in(dial, |name| call_field(call, name).filter(|value| is_part_of_address(value)));
        self.page(Page { dial, info: Arc::clone(&call.info), label: Arc::clone(&call.label) });
    }

    fn page(self: &Arc<Self>, page: Page) {
        match self.pages.begin(&page) {
            PageStart::Now => self.start(page),
            PageStart::Later => {}
            PageStart::Never => {
                log_call!(Warning, &*page.info, dial = page.dial, waiting = MAX_WAITING_PAGES; "page was dropped, too many wait for the same phones");
            }
        }
    }

    /// Calls all phones of a page. They are found on another thread, because the registrations are in a database.
    fn start(self: &Arc<Self>, page: Page) {
        let (service, on_failure, dial) = (Arc::clone(self), Arc::clone(self), page.dial.clone());
        let key = format!("phones of page {dial}");
        let (failed, key_of) = (dial.clone(), key.clone());
        let call_all = move |cancel: &CancelToken| {
            service.rings.finish(&key_of, cancel);
            let phones = phones_of(&page.dial);
            service.pages.note_phones(&page.dial, phones.len());
            for phone in phones {
                service.page_phone(page.clone(), phone);
            }
        };
        if !self.rings.spawn(&key, call_all, move || on_failure.end_page(&dial)) {
            self.end_page(&failed);
        }
    }

    /// Calls one phone of a page.
    fn page_phone(self: &Arc<Self>, page: Page, phone: String) {
        let service = Arc::clone(self);
        let key = format!("page {phone}");
        let key_of = key.clone();
        let (on_failure, dial) = (Arc::clone(&service), page.dial.clone());
        let call = move |cancel: &CancelToken| {
            let answered = dial_page(&service, &page, &phone, cancel);
            service.rings.finish(&key, cancel);
            let speaks = match answered {
                Ok(peer) => {
                    let speaks = peer.transfer("callpark_retrieve:page", Some("inline"), None);
                    if !speaks {
                        peer.hang_up(HangupCause::NormalClearing);
                    }
                    speaks
                }
                Err(cause) => {
                    log_call!(Warning, &*page.info, dial = phone, cause = cause; "page failed");
                    false
                }
            };
            if !speaks && !cancel.cancelled() {
                service.end_page(&page.dial);
            }
        };
        let ended = dial.clone();
        if !self.rings.spawn(&key_of, call, move || on_failure.end_page(&dial)) {
            self.end_page(&ended);
        }
    }

    fn end_page(self: &Arc<Self>, dial: &str) {
        if let Some(next) = self.pages.end(dial) {
            self.start(next);
        }
    }

    /// Announces the slot on a paged leg and hangs it up. Returns false if the leg was not called for a page.
    pub(crate) fn announce_page(self: &Arc<Self>, leg: &Leg<'_>) -> bool {
        let Some(dial) = leg.var(PAGE_VARIABLE) else { return false };
        let label = leg.var("callpark_label").unwrap_or_default();
        let slot = leg.var("callpark_slot").unwrap_or_default();
        self.say(leg, Prompt::Page, &format!("{slot}:{label}"), &mut PlayToEnd);
        leg.hang_up(HangupCause::NormalClearing);
        self.end_page(&dial);
        true
    }
}

fn dial_page(
    service: &ParkingService,
    page: &Page,
    phone: &str,
    cancel: &CancelToken,
) -> Result<freeswitch::SessionGuard, OriginateError> {
    let name = super::recall::dial::displayable(&format!("Park {} {}", page.info.slot, page.info.caller.name));
    let limit = format!("sched_hangup +{} allotted_timeout", MAX_PAGE_DURATION.as_secs());
    let variables = [
        (PAGE_VARIABLE, page.dial.as_str()),
        ("callpark_slot", page.info.slot.as_str()),
        ("callpark_label", &page.label),
        // mod_sofia writes the Call-Info that makes phones answer by themselves.
        ("sip_auto_answer", "true"),
        ("execute_on_answer", &limit),
    ];
    let dial = Dial {
        to: phone,
        caller_name: &name,
        caller_number: page.info.slot.as_str(),
        variables: &variables,
        ring_timeout: PAGE_RING_TIMEOUT,
    };
    service.outgoing.originate(&dial, cancel)
}
