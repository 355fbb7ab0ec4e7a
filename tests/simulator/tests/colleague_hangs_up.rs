//! The colleague hangs up at any moment of a retrieval.

mod any_moment;
mod office;

#[test]
fn the_colleague_may_hang_up_at_any_moment() {
    any_moment::hang_up_at_any_moment(|_, colleague| colleague.clone());
}
