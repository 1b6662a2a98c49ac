"""Files of weights on disk: torch's sharded checkpoints and safetensors, read and written without the libraries.

Why not megatron-core's ``dist_checkpointing.load``, torch's ``FileSystemReader`` and safetensors' ``load_file``?

- **Trust.** torch reads a checkpoint's index (``.metadata``) with ``pickle.load``, and a pickle can call any function.
  A ``.nemo`` file comes from elsewhere. ``common/restricted.py`` lists the names that an index may hold, and refuses
  others.
- **Memory.** The libraries fill tensors of a model that is built first, and their writers take whole shards. Here rows
  go from disk to disk through small buffers. Only a tensor that has to be put together, from several ranks' parts or
  from adapters, is in memory as a whole.
- **Speed.** Touching new memory costs more than copying it. The same reading also gives the checksum of the source, and
  the same writing that of the result. ``tools/bench_convert.py`` compares it with ``cp``.
- **Restarts.** Each file is written alone and proven, so a killed conversion continues with the next one.

Training itself saves and loads by megatron-core's plans: there the model exists and each rank reads its own part
(``mcore/saving.py``, ``mcore/loading.py``). The formats stay the libraries' own, and the tests read our files with them
and theirs with ours.
"""
