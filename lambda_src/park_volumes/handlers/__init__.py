"""The entry points of the two Lambdas: parse, call, answer.

Loading a function creates hardly any garbage, and looking for it would take a tenth of the loading time.
runtime.begin_pass turns garbage collection on again."""

import gc

gc.disable()
