"""The Responses dialect, provider side: the messages of a `Prompt` -> input items.

A message with one text is written as a string, which every server takes; calls and results are items of their own, in
the order in which they were said.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from headgate.dialects.calls import told, within
from headgate.prompt import Audio, File, Image, Message, Part, Reasoning, Refusal, Role, Text, ToolCall, ToolResult

ID_CHARS_MAX: Final = 64
"""Of the id of a call: OpenAI takes no longer one."""
_EXTENSIONS: Final = {"application/pdf": "pdf", "text/plain": "txt", "text/markdown": "md"}


def write_items(messages: tuple[Message, ...], unsupported: list[str]) -> tuple[str, list[dict[str, Any]]]:
    """Instructions and input items. Appends to `unsupported` the paths of parts this dialect has no word for."""
    instructions, items = "", []
    for number, message in enumerate(messages):
        first = message.parts[0] if len(message.parts) == 1 and not message.name else None
        # alone it stays an item, because the dialect wants one
        if number == 0 and len(messages) > 1 and message.role is Role.SYSTEM and isinstance(first, Text):
            instructions = first.text
        else:
            items += _items(message, unsupported)
    return instructions, items


def _items(message: Message, unsupported: list[str]) -> list[dict[str, Any]]:
    """The items of one message: runs of content become messages, whatever is an item stands between them."""
    if message.name:
        unsupported.append(f"{message.at}.name")
    items: list[dict[str, Any]] = []
    run: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, ToolCall | ToolResult):
            _end_run(message.role, run, items)
            items.append(_call(part) if isinstance(part, ToolCall) else _result(part))
        elif not isinstance(part, Reasoning):
            shown = _content(message.role, part)
            if shown is None:
                unsupported.append(part.at)
            else:
                run.append(shown)
    _end_run(message.role, run, items)
    return items


def _end_run(role: Role, run: list[dict[str, Any]], items: list[dict[str, Any]]) -> None:
    if run:
        one = run[0].get("text") if len(run) == 1 else None
        items.append({"type": "message", "role": role.value, "content": list(run) if one is None else one})
        run.clear()


def _call(call: ToolCall) -> dict[str, Any]:
    id = within(call.id, ID_CHARS_MAX)
    return {"type": "function_call", "call_id": id, "name": call.name, "arguments": call.arguments}


def _result(result: ToolResult) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    for part in told(result):
        shown = _content(Role.USER, part)
        if shown is not None:
            output.append(shown)
    texts = [part["text"] for part in output if "text" in part]
    one = not output or (len(output) == 1 and bool(texts))
    return {
        "type": "function_call_output",
        "call_id": within(result.call_id, ID_CHARS_MAX),
        "output": "".join(texts) if one else output,
    }


def _content(role: Role, part: Part) -> dict[str, Any] | None:
    """One content part; None for one that has no word in a message of this role."""
    match part:
        case Text():
            return {"type": "output_text" if role is Role.ASSISTANT else "input_text", "text": part.text}
        case Refusal() if role is Role.ASSISTANT:
            return {"type": "refusal", "refusal": part.text}
        case Image() if role is Role.USER:
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            return {"type": "input_image", "image_url": url} | ({"detail": part.detail} if part.detail else {})
        case File() if role is Role.USER:
            return {"type": "input_file"} | _file(part)
        case Audio() | _:
            return None


def _file(file: File) -> dict[str, Any]:
    """A file by URL or by its data; text is base64 there too."""
    name = {"filename": file.name} if file.name else {}
    if file.url:
        return {"file_url": file.url} | name
    is_text = file.media_type.startswith("text/")
    data = base64.b64encode(file.data.encode()).decode() if is_text else file.data
    if not name:
        ending = _EXTENSIONS.get(file.media_type) or file.media_type.rpartition("/")[2]
        name = {"filename": f"file.{ending}"}
    return {"file_data": f"data:{file.media_type};base64,{data}"} | name
