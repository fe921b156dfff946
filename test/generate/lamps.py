# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A lamp for the programs that use generated clients."""


def with_progress(device):
    """Has a device say how far it is when it blinks, before it answers."""
    answer = device.answer

    def answer_all(command, *arguments, **members):
        if command.cmd == "blink":
            answer(command, progress={"done": 1, "times": command.params["times"]})
        answer(command, *arguments, **members)
    device.answer = answer_all
    return device
