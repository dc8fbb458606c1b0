"""The entry points of the two Lambdas: parse, call, answer.

While a function loads, hardly anything becomes garbage: looking for it would take a tenth of the time that loading
takes. runtime.begin_pass lets it be collected again.
"""

import gc

gc.disable()
