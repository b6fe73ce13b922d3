"""What int8 may cost, and which of it a file misses."""

from __future__ import annotations

import numpy as np

from quantization.measure import Row

MAX_PESQ_LOSS = 0.05
MAX_SI_SDR_GAIN_LOSS_DB = 0.3
MAX_BAK_SUPPR_LOSS_DB = 1.0
MAX_TSOS_RISE_PERCENT = 0.3
MIN_COSINE = 0.99
MAX_MINUTE_SNR_LOSS_DB = 3.0
"""Between the first and the third minute of a stream, which are the same, in each of four voices: errors may not
pile up.

At 3 dB the power of the error has doubled; one that adds up would have 5 dB more after three minutes if it went its
way by chance, 9.5 if it always went the same. In the shipped files it rises by 1.8 dB at most (one voice in
``pvqe-s-far.int8.onnx``) and falls in most voices; over fifteen minutes of two voices it settles after six.

Whole minutes, for ten seconds say nothing about it (``pvqe-s-a5d65c21a2cf``, an earlier model): at the beginning the
states are on their way from zero, and the fp32 file itself answers the same minute differently the second time (13 and
18 dB SNR in two of the voices; the fifth and the fifteenth are 32 and 41 dB from each other). Against the same ten
seconds a minute later, the SNR of ``pvqe-s.int8.tflite`` falls by 6.5 dB in one voice and rises by 3 to 7 in the other
three.
"""
MIN_MINUTE_SNR_DB = 25.0
"""In the last of those minutes, in any of the voices: 27.4 and more in the shipped files. In the first, when the states
are on their way from zero, ``pvqe-s-far`` has 23 to 27 in two of the voices.
"""
MAX_SHARE_OF_FP32 = 0.40
MAX_SIZE_MB = {"pvqe-s": 1.3, "pvqe-xs": 0.5}
MAX_P50_MS = {"pvqe-s": 0.25, "pvqe-xs": 0.15}
"""On one x86 core, in the faster runtime."""
MAX_TIME_RATIO = 1.05
"""Never slower than fp32 in the same runtime; 5 % is what two measurements of one file differ by."""


def misses(row: Row, reference: Row, fp32: Row) -> list[str]:
    """What an int8 ``row`` misses, a sentence each.

    ``reference`` is the fp32 row that quality is compared with, ``fp32`` the fp32 row of the same runtime.
    """
    network = row.variant.path.name.split(".")[0]
    own, wanted = row.scores, reference.scores
    limits = [
        ("PESQ-WB falls by", wanted.pesq_wb - own.pesq_wb, MAX_PESQ_LOSS, ""),
        ("SI-SDR gain falls by", wanted.si_sdr_gain - own.si_sdr_gain, MAX_SI_SDR_GAIN_LOSS_DB, " dB"),
        ("BAK SUPPR falls by", wanted.bak_suppr - own.bak_suppr, MAX_BAK_SUPPR_LOSS_DB, " dB"),
        ("TSOS rises by", own.tsos_percent - wanted.tsos_percent, MAX_TSOS_RISE_PERCENT, " points"),
        ("profiles are off by 1 - cosine =", 1 - row.cosine, 1 - MIN_COSINE, ""),
        (
            f"over {len(row.minute_snr[0])} minutes the output SNR of a voice falls by",
            float(np.max([snr[0] - snr[-1] for snr in row.minute_snr])),
            MAX_MINUTE_SNR_LOSS_DB,
            " dB",
        ),
        (
            "in the last minute of a voice the error lies, against the output, at",
            -float(np.min([snr[-1] for snr in row.minute_snr])),
            -MIN_MINUTE_SNR_DB,
            " dB",
        ),
        ("the file is of fp32's size", row.size_mb / fp32.size_mb, MAX_SHARE_OF_FP32, ""),
        ("the file has", row.size_mb, MAX_SIZE_MB.get(network, float("inf")), " MB"),
        ("a frame takes, in times of fp32,", row.p50_ms / fp32.p50_ms, MAX_TIME_RATIO, ""),
    ]
    return [
        f"{row.variant.name}: {what} {value:.3g}{unit}, at most {limit:.3g} is allowed."
        for what, value, limit, unit in limits
        if not value <= limit
    ]


def is_about_time(miss: str) -> bool:
    """Whether another program in the way may be the cause of it."""
    return "a frame takes" in miss


def misses_time(rows: list[Row]) -> list[str]:
    """What the int8 rows together miss: one of the runtimes has to be fast enough."""
    by_network: dict[str, list[Row]] = {}
    for row in rows:
        by_network.setdefault(row.variant.path.name.split(".")[0], []).append(row)
    return [
        f"{network}: a frame takes {fastest.p50_ms:.3f} ms at best ({fastest.variant.name}), "
        f"at most {MAX_P50_MS[network]} ms is allowed."
        for network, own in by_network.items()
        if network in MAX_P50_MS
        and (fastest := min(own, key=lambda row: row.p50_ms)).p50_ms > MAX_P50_MS[network]
    ]
