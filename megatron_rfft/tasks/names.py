"""What tasks and their roles are called, and what they were called before: old names are still read everywhere."""

from collections.abc import Sequence

ROLES = ("pretrain", "held-out", "extra")
"""What a task is for: the paper's tasks for RF-pretraining, its held-out ones, and all that the paper does not have."""

_OLD_ROLES = {"train": "pretrain", "test": "held-out"}
OLD_NAMES = {
    "lc_1": "two_sum",
    "lc_13": "roman_to_integer",
    "lc_26": "remove_duplicates_from_sorted_array",
    "lc_27": "remove_element",
    "lc_53": "maximum_subarray",
    "lc_66": "plus_one",
    "lc_67": "add_binary",
    "lc_88": "merge_sorted_array",
    "lc_136": "single_number",
    "lc_169": "majority_element",
    "lc_202": "happy_number",
    "lc_217": "contains_duplicate",
    "lc_349": "intersection_of_two_arrays",
    "lc_412": "fizz_buzz",
    "lc_657": "robot_return_to_origin",
    "lc_696": "count_binary_substrings",
    "lc_724": "find_pivot_index",
    "lc_771": "jewels_and_stones",
    "lc_844": "backspace_string_compare",
    "lc_1047": "remove_all_adjacent_duplicates_in_string",
    "lc_1108": "defanging_an_ip_address",
    "lc_1221": "split_a_string_in_balanced_strings",
    "lc_1365": "how_many_numbers_are_smaller_than_the_current_number",
    "lc_1431": "kids_with_the_greatest_number_of_candies",
    "lc_1470": "shuffle_the_array",
    "lc_1480": "running_sum_of_1d_array",
    "lc_1614": "maximum_nesting_depth_of_the_parentheses",
    "lc_1678": "goal_parser_interpretation",
    "lc_1732": "find_the_highest_altitude",
    "lc_1822": "sign_of_the_product_of_an_array",
    "lc_2000": "reverse_prefix_of_word",
    "lc_2011": "final_value_of_variable_after_performing_operations",
    "lc_2357": "make_array_zero_by_subtracting_equal_amounts",
}
"""The rule of such a task keeps the old name, which prompts show and which draws its instances: no example changes."""


def role_of(word: str) -> str | None:
    """The role that ``word`` stands for; None if there is no such role."""
    role = _OLD_ROLES.get(word, word)
    return role if role in ROLES else None


def current_name(name: str) -> str:
    """The name of the task that is or was called ``name``, settings such as ``+rename`` kept; others as they are."""
    base, plus, settings = name.partition("+")
    return f"{OLD_NAMES.get(base, base)}{plus}{settings}"


def plain_names(tasks: Sequence[str]) -> list[str]:
    """The tasks without their settings (behind plus signs) where that leaves all of them apart, else as they are."""
    plain = [task.partition("+")[0] for task in tasks]
    return plain if len(set(plain)) == len(plain) else list(tasks)
