//! The caller hangs up at any moment of a retrieval.

mod any_moment;
mod office;

#[test]
fn the_caller_may_hang_up_at_any_moment() {
    any_moment::hang_up_at_any_moment(|caller, _| caller.clone());
}
