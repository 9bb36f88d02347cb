//! The promises of the trait `Backend`, each as a function: every backend must keep them.
//!
//! `conformance!(ItsPlace)` in a backend's test file makes a test of each, on a store that is empty at its start.

pub mod broadcasting;
pub mod cursors;
pub mod ends;
pub mod following;
pub mod keys;
pub mod links;
pub mod listing;
pub mod model;
pub mod payloads;
pub mod publishing;
pub mod reading;
pub mod renewing;
pub mod trimming;

mod peer;

use std::future::Future;
use std::sync::Arc;

use tidegate::backend::{Backend, Keep};

pub use peer::{Peer, TIME_LIMIT, in_time, json, publication_of, request};

/// A store on which several backends can be opened, as if each were in its own process.
///
/// Dropping it removes everything that it holds.
pub trait Place: Sized + Send + Sync + 'static {
    /// How many random sequences of operations are tried.
    const SEQUENCES: u32 = 8;

    /// A new, empty store, whose backends keep what `keep` says.
    fn start(keep: Keep) -> impl Future<Output = Self> + Send;

    /// Another backend on the store, not opened yet.
    fn backend(&self) -> impl Future<Output = Arc<dyn Backend>> + Send;
}

/// Makes a test of each behaviour, on the given place.
#[macro_export]
macro_rules! conformance {
    ($place:ident) => {
        $crate::behaviours! { $place:
            publishing {
                offsets_rise_by_one_from_one,
                epochs_are_random_and_in_range,
                a_batch_is_stored_in_its_order,
                a_batch_answers_each_request_by_itself,
                a_batch_of_nothing_is_answered,
                a_batch_of_a_thousand_is_stored_whole,
                publishers_at_the_same_time_share_one_order,
                batches_at_the_same_time_keep_their_order,
            }
            keys {
                a_repeated_request_answers_the_first_position,
                a_request_repeated_elsewhere_answers_the_first_position,
                a_request_repeated_within_a_batch_answers_the_first_position,
                a_repeated_end_answers_the_first_position,
                a_request_repeated_after_a_restart_answers_the_first_position,
                a_key_belongs_to_its_topic,
                keys_may_be_long_and_of_any_script,
                as_many_keys_as_a_topic_remembers_are_remembered,
                repeats_at_the_same_time_are_stored_once,
                a_batch_whose_answer_was_lost_may_be_repeated,
            }
            ends {
                an_ended_topic_refuses_and_says_why,
                an_end_is_read_listed_and_heard,
                a_restart_begins_a_new_epoch,
                a_restart_of_a_topic_that_goes_on_changes_nothing,
                a_payload_alone_ends_nothing,
                what_is_said_to_be_no_end_stays_none,
                of_two_ends_at_the_same_time_one_is_stored,
            }
            reading {
                what_nobody_published_to_is_empty,
                the_latest_alone_where_no_position_is_given,
                everything_after_a_position,
                nothing_at_the_top,
                everything_since_the_beginning,
                the_latest_alone_since_another_epoch,
                the_latest_alone_since_beyond_the_top,
                what_is_read_while_it_is_published_has_no_gap,
            }
            trimming {
                history_is_kept_up_to_its_count_and_trimmed_beyond,
                history_is_trimmed_beyond_its_bytes,
                a_latest_that_exceeds_the_limits_is_kept,
                one_topic_does_not_trim_another,
            }
            listing {
                a_pattern_lists_what_it_matches,
                each_is_listed_with_its_latest_alone,
                a_listing_is_read_page_by_page,
                characters_that_are_special_elsewhere_are_plain,
                two_thousand_topics_are_listed,
            }
            following {
                a_topic_is_heard_wherever_it_is_followed,
                a_pattern_is_heard_wherever_it_is_followed,
                what_two_patterns_match_is_heard_in_order,
                what_follows_the_answer_is_heard,
                publishers_at_the_same_time_are_heard_in_order,
                what_is_followed_no_more_leaves_the_rest,
                what_is_followed_again_is_heard_again,
                what_was_not_followed_can_be_unfollowed,
                a_restart_is_heard,
                characters_that_are_special_elsewhere_are_plain,
                two_thousand_topics_are_followed,
            }
            payloads {
                texts_arrive_byte_for_byte,
                a_mebibyte_arrives,
                topics_of_any_script_are_distinct,
                the_longest_topic_is_a_topic,
            }
            renewing {
                a_renewed_topic_keeps_its_latest_in_a_new_epoch,
                another_epoch_is_not_renewed,
                what_nobody_published_to_is_not_renewed,
                a_renewed_end_is_still_an_end,
                of_two_renewals_at_the_same_time_one_counts,
            }
            broadcasting {
                what_is_broadcast_is_heard_by_all_others,
                the_largest_broadcast_is_heard,
                what_was_broadcast_before_is_not_heard,
                a_closed_one_broadcasts_nothing,
                hubs_tell_each_other_who_is_present,
                a_hub_that_stops_takes_its_presences_with_it,
            }
            cursors {
                a_claim_gives_the_cursor_in_a_new_term,
                what_is_stored_is_claimed_elsewhere,
                an_earlier_term_stores_nothing,
                each_has_a_cursor_of_its_own,
                a_forgotten_cursor_begins_anew,
                large_cursors_and_many_calls_are_taken,
                a_user_is_told_of_their_cursors,
                a_user_has_so_many_and_no_more,
                an_unused_cursor_is_forgotten,
            }
            links {
                an_open_backend_answers,
                an_opened_one_follows_nothing_and_leaves_the_old_feed,
                a_closed_one_does_nothing_and_leaves_no_task,
                a_closed_one_can_be_opened_again,
                what_was_published_outlives_its_publisher,
                a_call_may_be_dropped,
            }
            model {
                any_sequence_does_what_the_model_does,
            }
        }
    };
}

/// Makes a test of each named behaviour.
#[doc(hidden)]
#[macro_export]
macro_rules! behaviours {
    ($place:ident: $($theme:ident { $($behaviour:ident,)* })*) => {
        $(mod $theme {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::conformance::$theme::$behaviour::<super::$place>().await;
            })*
        })*
    };
}
