"""Makes sound files that can be told apart by ear, and recognises which of them a call has heard, in order."""

import math
import struct
import wave

from audio import RATE, strength

# The tones of the module and of the shipped phrases.
TONES = {"refusal tone": (480, 620), "dial tone": (425,), "confirmation tone": (600,), "page tone": (660,), "second page tone": (880,)}
MARK = 3300  # separates what is played one after another
SECONDS = 0.16
WINDOW = 3  # packets
TOLERANCE = 60  # Hz, of an estimate by the crossings of zero


def write_sounds(folder, files):
    """Writes sound files with a tone each, and returns the frequency of each file. No two files have the same."""
    frequencies = {file: 1000 + 50 * n for n, file in enumerate(sorted(files))}
    assert max(frequencies.values()) < MARK - 100
    for file, frequency in frequencies.items():
        write_tone(folder / file, frequency, SECONDS)
    return frequencies


def write_tone(file, frequency, seconds):
    """Writes a sound file with a tone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    samples = [int(8000 * math.sin(2 * math.pi * frequency * n / RATE)) for n in range(int(RATE * seconds))]
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def heard(audio, frequencies):
    """The names of the files and tones that a call has heard since its beginning, in order. Several times in a row count once."""
    names = {**{name: (frequency,) for name, frequency in frequencies.items()}, **TONES, "mark": (MARK,)}
    packets = [audio.codec.decode(packet.payload) for packet in list(audio.trace)]
    order, last, count = [], None, 0
    for n in range(len(packets) - WINDOW + 1):
        now = _name([sample for packet in packets[n:n + WINDOW] for sample in packet], names)
        count = count + 1 if now == last else 1
        last = now
        # Where one sound follows another without a gap, a window or two have both.
        if now and count == 3 and (not order or order[-1] != now):
            order.append(now)
    return order


def _name(samples, names):
    if sum(sample * sample for sample in samples) < 1000 * len(samples):
        return None
    crossings = sum((one < 0) != (next_one < 0) for one, next_one in zip(samples, samples[1:]))
    estimate = crossings * RATE / (2 * len(samples))
    near = {name: tones for name, tones in names.items() if len(tones) > 1 or abs(tones[0] - estimate) < TOLERANCE}
    shares = {name: sum(strength(samples, tone) for tone in tones) for name, tones in near.items()}
    best = max(shares, key=shares.get)
    return best if shares[best] > 0.8 else None
