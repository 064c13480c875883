"""What can be said about a calibration dataset before anything runs."""

from __future__ import annotations

from collections.abc import Iterable

from npudsl.diagnostics import Diagnostic

FEW_SAMPLES = 10
FEW_SAMPLES_FOR_KL = 100


def dataset_advice(dataset: str, samples: int, algorithms: Iterable[str]) -> list[Diagnostic]:
    """Warnings (W0510) about calibrating with ``samples`` samples; ``algorithms``: the words of every one used."""
    subject = f"dataset[{dataset}]"
    if samples < FEW_SAMPLES:
        return [
            _few(
                dataset, samples, f"ranges from fewer than {FEW_SAMPLES} samples miss values that occur in use", subject
            )
        ]
    if samples < FEW_SAMPLES_FOR_KL and "kl" in set(algorithms):
        return [
            _few(dataset, samples, f"kl compares distributions and wants {FEW_SAMPLES_FOR_KL} samples or more", subject)
        ]
    return []


def _few(dataset: str, samples: int, why: str, subject: str) -> Diagnostic:
    return Diagnostic(
        "W0510",
        f'dataset "{dataset}" calibrates with {samples} sample{"s" if samples != 1 else ""}',
        notes=(why,),
        helps=("50 to 200 samples of what the network will see are usual",),
        severity="warning",
        subject=subject,
    )
