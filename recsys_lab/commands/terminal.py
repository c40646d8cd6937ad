"""Text of catalogues on a terminal."""

import unicodedata


def printable(text: str) -> str:
    """A text for a terminal: in one line, without control characters and marks of direction.

    Control characters are those of the Unicode categories Cc, Zl and Zp; of the invisible ones
    (Cf) joiners stay, which emoji and many scripts need.
    """

    def plain(sign: str) -> str:
        category = unicodedata.category(sign)
        if category in ("Zl", "Zp") or sign in "\t\r\n":
            return " "
        hidden = category in ("Cc", "Cs") or (category == "Cf" and sign not in "\u200c\u200d")
        return "\N{REPLACEMENT CHARACTER}" if hidden else sign

    return "".join(map(plain, text))
