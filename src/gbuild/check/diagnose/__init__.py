"""From two files that differ to the causes that are seen in their bytes.

First the differences are found (:mod:`.walk`): fields of containers, changes of text and bytes,
orders. Then each is shown to the causes (:mod:`.causes`), of which the first one that knows it
gives the evidence. What none knows stays unknown: no cause is named for it.
"""
