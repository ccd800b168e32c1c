"""Make chinese.otf, with which figures draw Chinese (`pages.plots.fonts`):

    python book/pages/font/make.py NotoSansSC-Regular.otf

The characters of GB 2312, out of Noto Sans SC 2.004 of github.com/notofonts/noto-cjk
(© 2014-2021 Adobe, SIL Open Font License 1.1: OFL.txt), without hints and
layout tables.  It has a name of its own, so that no installed font is taken
for it.
"""

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

NAME = "Noto Sans SC of GB 2312"
NAMES = {1: NAME, 3: NAME, 4: NAME, 6: NAME.replace(" ", "")}


def _characters():
    """Those of GB 2312: 6,763 of Chinese, and signs and letters."""
    codes = (bytes([a, b]) for a in range(0xA1, 0xFF) for b in range(0xA1, 0xFF))
    return "".join(code.decode("gb2312", errors="ignore") for code in codes)


def _make(source, target):
    """Write the font's part that is needed."""
    font = TTFont(source, recalcTimestamp=False)
    options = Options(layout_features=[], hinting=False, notdef_outline=True)
    options.drop_tables += ["BASE", "VORG", "vhea", "vmtx"]
    subsetter = Subsetter(options)
    subsetter.populate(text=_characters())
    subsetter.subset(font)
    for record in font["name"].names:
        record.string = NAMES.get(record.nameID, str(record))
    font.save(target)


if __name__ == "__main__":
    _make(sys.argv[1], Path(__file__).with_name("chinese.otf"))
