"""A data set's files (Megatron indexed binaries with loss boundaries), and how training reads them: packing, blends."""
