"""The validation data set of a run, checked before anything slow begins."""

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.blend import check_alike
from megatron_rfft.data.dataset import PackedDataset, TooLongError
from megatron_rfft.training.config import TrainConfig


def open_validation(config: TrainConfig, train: PackedDataset) -> PackedDataset | None:
    """The data set of ``config.validation``, or None. Raises UserError if it does not fit the run or ``train``'s
    data (``blend.check_alike``).
    """
    section = config.validation
    if not section.data:
        if section.patience:
            raise UserError("validation.patience is set without validation.data; give its data sets")
        return None
    length = section.sequence_length or config.data.sequence_length
    try:
        dataset = PackedDataset(
            section.data,
            length,
            config.run.seed,
            cache=config.data.cache,
            document_multiple=config.data.document_multiple,
        )
    except TooLongError as error:
        raise TooLongError(*error.args[:-1], "validation.sequence_length") from error
    check_alike({**train.manifests, **dataset.manifests})
    return dataset
