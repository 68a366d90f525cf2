"""eSpeak NG: many voices, a robot's sound, a hundred times faster than speech."""

import ctypes
import os
import sys
import traceback

import espeakng_loader
import numpy as np

RATE = 22050
WORDS_A_MINUTE = 165  # at speed 1
RETRIEVAL, UTF8, WORDS_PER_MINUTE, PITCH = 1, 1, 1, 3  # constants of espeak's speak_lib.h


class ESpeak:
    """The eSpeak NG library, giving samples instead of playing them."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path()).encode()
        self.rate = self.library.espeak_Initialize(RETRIEVAL, 0, data, 0)
        if self.rate <= 0:
            raise RuntimeError(f"eSpeak NG did not start with the data of {data.decode()}; reinstall espeakng-loader")
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # its own seed is the time of day
        self.samples: list[np.ndarray] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._take)  # kept: the library holds only its address
        self.library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if samples and count > 0:
            self.samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, voice: str, words_per_minute: int, pitch: int) -> np.ndarray:
        """The samples (int16, at self.rate) of `text`."""
        if self.library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"eSpeak NG has no voice '{voice}'; `espeak-ng --voices` lists them")
        self.library.espeak_SetParameter(WORDS_PER_MINUTE, words_per_minute, 0)
        self.library.espeak_SetParameter(PITCH, pitch, 0)
        self.samples.clear()
        data = text.encode()
        self.library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, UTF8, None, None)
        self.library.espeak_Synchronize()
        if not self.samples:
            raise RuntimeError(f"eSpeak NG said nothing for '{text}' with voice {voice}")
        return np.concatenate(self.samples)


def missing() -> str | None:
    """Nothing: its library is one of the project's packages."""
    return None


class Engine:
    """Speaks each sentence in a process of its own, since eSpeak carries state from one sentence to the next."""

    def say(self, text: str, voice: str, speed: float) -> np.ndarray:
        """float32 samples at RATE; `voice` as `gmw/en-US+f2@40`, with the pitch behind the @."""
        name, _, pitch = voice.partition("@")
        here, there = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(here)
                with os.fdopen(there, "wb") as stream:
                    stream.write(ESpeak().say(text, name, round(WORDS_A_MINUTE * speed), int(pitch or 50)).tobytes())
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(1)
        os.close(there)
        with os.fdopen(here, "rb") as stream:
            samples = np.frombuffer(stream.read(), np.int16)
        if os.waitpid(child, 0)[1]:
            raise RuntimeError(f"eSpeak NG failed at '{text}' with voice {name}; its error is printed above")
        return samples.astype(np.float32) / 32768
