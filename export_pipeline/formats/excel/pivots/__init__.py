"""Pivot tables: computed as the rows stream by, written as cells, and as what lets Excel compute them anew.

::

    options.py    what is asked for             functions.py   sums and the like, in parts that can be merged
    items.py      values that have a row or column            gathering.py   ... of all blocks, merged in order
    layout.py     where each caption and number stands        xml.py, sheets.py   parts and cells of the workbook
"""
