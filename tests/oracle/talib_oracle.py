"""TA-Lib 0.8.1 as it is called for an indicator of millrace: names, options, nulls."""

import numpy as np
import talib
from talib import abstract

MA_TYPES = ["sma", "ema", "wma", "dema", "tema", "trima", "kama", "mama", "t3", "hma", "disabled",
            "default", "zlema", "rma"]
CANDLE_SETTINGS = ["body_long", "body_very_long", "body_short", "body_doji", "shadow_long",
                   "shadow_very_long", "shadow_short", "shadow_very_short", "near", "far", "equal"]
CANDLE_RANGES = ["realbody", "highlow", "shadows"]
LIBRARY = talib.__ta_version__.decode().split()[0]


def known(name):
    return name.upper() in talib.get_functions()


def candle_settings(options):
    """Sets what the options say, process-wide as it is there; what is left are parameters."""
    talib._ta_lib._ta_restore_candle_default_settings(len(CANDLE_SETTINGS))
    given, left = {}, {}
    for name, value in options.items():
        setting, _, part = name.rpartition("_")
        if setting in CANDLE_SETTINGS:
            given.setdefault(setting, {})[part] = value
        else:
            left[name] = value
    for setting, parts in given.items():
        talib._ta_lib._ta_set_candle_settings(CANDLE_SETTINGS.index(setting),
                                              CANDLE_RANGES.index(parts["range"]),
                                              parts["period"], parts["factor"])
    return left


def compute(name, inputs, options):
    """Outputs with NaN for what is not there, or None when TA-Lib refuses the options."""
    function = abstract.Function(name.upper())
    parameters = {key: MA_TYPES.index(value) if value in MA_TYPES else value
                  for key, value in candle_settings(options).items()}
    try:
        result = getattr(talib, name.upper())(*inputs, **parameters)
        function.parameters = parameters
        lookback = function.lookback
    except Exception as error:  # talib raises Exception itself
        if "Bad Parameter" not in str(error):
            raise
        return None
    outputs = [np.array(values, dtype=float)
               for values in (result if isinstance(result, (tuple, list)) else [result])]
    for values in outputs:
        values[:lookback] = np.nan  # whole numbers know no NaN
    return np.array(outputs)


def outputs(indicator, columns, options):
    """As compute(), over series with nulls: rows with one are left out, as if they were not there."""
    inputs = [columns[fallback] for _, fallback in indicator.columns]
    there = ~np.isnan(np.array(inputs)).any(axis=0)
    result = compute(indicator.name, [values[there] for values in inputs], options)
    if result is None or there.all():
        return result
    spread = np.full((len(result), len(there)), np.nan)
    spread[:, there] = result
    return spread
