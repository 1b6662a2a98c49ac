"""The tasks as environments for reinforcement learning with verifiable rewards, for other people's trainers.

``rewards`` judges an answer. The other modules are adapters, one for each library: ``trl``, ``verl``,
``verifiers`` and ``reasoning_gym``. Training draws from the split train of the instances, evaluation from test.
"""
