"""What is held out: the paper's own test tasks, a second set of tasks, and the near twins of both sets.

Whoever trains on ``add_binary``, the sum of two binary numbers, has practised all of ``add_int`` but the base. To train
on a twin while reporting scores on the held-out tasks would be a leak: they would no longer show that a model follows a
rule it has not met. Train on the twin of a task only where that task's score is not reported.

Weaker relations are not listed, since the paper's own training tasks have them, too:
``apply_operations_to_an_array`` ends in a pass that moves zeroes (by places, not as ``move_zeroes`` does it),
``reverse_string`` walks a string from its end.
"""

HELD_OUT = (
    "add_digits",
    "add_int",
    "alternating_digit_sum",
    "chunk_array",
    "crawler_log_folder",
    "digit_max_int",
    "get_digit_int",
    "hamming_distance",
    "length_int",
    "move_zeroes",
    "sequence_of_strings_appeared_on_the_screen",
    "valid_palindrome",
)
"""The tasks whose files say ``role="held-out"``, for those who need their names without loading all tasks."""

CROSS_DOMAIN = (
    "alg_insertion_sort",
    "roman_to_integer",
    "how_many_numbers_are_smaller_than_the_current_number",
    "logic_baggage",
    "logic_boolean_chain",
    "logic_tracking_shuffled",
    "logic_web_of_lies",
    "number_mod_small",
    "number_sub_int",
    "sym_caesar",
    "sym_mod_arith_flat",
    "sym_stack_manipulation",
)
"""A second held-out set, from other domains than the paper's; corpus preset ``test-cross-domain``.

Extras that are a training task in other words have no place in it: ``sym_parity`` is ``coin_flip`` over letters,
``backspace_string_compare`` is ``removing_stars_from_a_string`` twice. Nearest to a training task are
``alg_insertion_sort``, which sorts as ``word_sorting`` does, and ``sym_stack_manipulation``, whose list grows and
shrinks as many do.
"""

NEAR_TWINS: dict[str, str] = {  # the twin: the held-out task
    "remove_duplicates_from_sorted_array": "move_zeroes",
    "remove_element": "move_zeroes",
    "plus_one": "add_int",
    "add_binary": "add_int",
    "happy_number": "add_digits",
    "logic_boolean_brackets": "logic_boolean_chain",
    "logic_knights_chain": "logic_web_of_lies",
    "number_add_float": "add_int",
    "number_base9_add": "add_int",
    "number_binary_add": "add_int",
    "number_count_bits": "hamming_distance",
    "number_digit_add": "digit_max_int",
    "number_digit_min": "digit_max_int",
    "number_get_digit_float": "get_digit_int",
    "number_length_float": "length_int",
    "number_mod_add": "number_mod_small",
}
