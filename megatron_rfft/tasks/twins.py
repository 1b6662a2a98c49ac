"""Extra tasks that are near twins of a held-out task: nearly the same rule, on nearly the same values.

Whoever trains on ``lc_67``, the sum of two binary numbers, has practised all of ``add_int`` but the base. To train on a
twin while reporting scores on the held-out tasks would be a leak: they would no longer show that a model follows a
rule it has not met. Train on the twin of a task only where that task's score is not reported.

Weaker relations are not listed, since the paper's own training tasks have them, too:
``apply_operations_to_an_array`` ends in a pass that moves zeroes, ``reverse_string`` walks a string from its end.
"""

NEAR_TWINS: dict[str, str] = {  # the twin: the held-out task
    "lc_26": "move_zeroes",
    "lc_27": "move_zeroes",
    "lc_66": "add_int",
    "lc_67": "add_int",
    "lc_202": "add_digits",
    "number_add_float": "add_int",
    "number_base9_add": "add_int",
    "number_binary_add": "add_int",
    "number_count_bits": "hamming_distance",
    "number_digit_add": "digit_max_int",
    "number_digit_min": "digit_max_int",
    "number_get_digit_float": "get_digit_int",
    "number_length_float": "length_int",
}
