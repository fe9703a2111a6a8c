# Prints what the demo pipeline gave: per pair the last candles with their indicators and the
# forecast made at them, then how far the forecasts were from what came. Input are the CSV files of
# the predictions stage, in any order; columns are found by the names in the header.
#
#   awk -v pairs=BTCUSDT,ETHUSDT -v horizon_s=10 -v trained_s=200 -f tools/demo_table.awk FILE...
#
# Exit status 1 when a pair of `pairs` has no forecast.

BEGIN {
    FS = ","
    if (shown_max == "") shown_max = 5
    if (horizon_s == "") horizon_s = 10
    if (trained_s == "") trained_s = 200
    shown = "open high low close volume sma_7 rsi_14 macd macd_signal macd_hist predicted_close"
    shown_count = split(shown, shown_name, " ")
}

FNR == 1 {
    delete column
    for (i = 1; i <= NF; i++) {
        gsub(/[\r"]/, "", $i)
        column[$i] = i
    }
    split("pair window_end close predicted_close predicted_close_time", needed, " ")
    for (i = 1; i in needed; i++) {
        if (!(needed[i] in column)) {
            printf "demo_table: %s has no column '%s'\n", FILENAME, needed[i] > "/dev/stderr"
            broken = 1
            exit 1
        }
    }
    next
}

NF {
    gsub(/[\r"]/, "")
    pair = $column["pair"]
    end = seconds($column["window_end"])
    if (!(pair in first)) {
        pair_name[++pair_count] = pair
        first[pair] = end
        last[pair] = end
    }
    if (end < first[pair]) first[pair] = end
    if (end > last[pair]) last[pair] = end
    # Later revisions of a window come later in the file and replace the earlier ones.
    for (i = 1; i <= shown_count; i++) {
        cell[pair, end, shown_name[i]] = $column[shown_name[i]]
    }
    cell[pair, end, "time"] = substr($column["window_end"], 12, 8)
    partial[pair, end] = ("partial" in column) && $column["partial"] == "true"
    known[pair, end] = 1
    if ($column["predicted_close"] != "") {
        forecast_end[pair, end] = seconds($column["predicted_close_time"])
        forecasts[pair]++
    }
}

END {
    if (broken) exit 1
    sort_pairs()
    for (p = 1; p <= pair_count; p++) candles_print(pair_name[p])
    errors_print()
    count = split(pairs, wanted, ",")
    for (i = 1; i <= count; i++) {
        if (!forecasts[wanted[i]]) {
            printf "demo_table: no forecast for %s\n", wanted[i] > "/dev/stderr"
            failed = 1
        }
    }
    exit failed
}

function candles_print(pair,    n, end, ends, i, name, line, value, before, cut) {
    n = 0
    cut = 0
    for (end = last[pair]; end >= first[pair] && n < shown_max; end--) {
        if ((pair, end) in known) ends[++n] = end
    }
    printf "%s: the last %d candles, their indicators, and the close forecast for %d s later\n\n", \
        pair, n, horizon_s
    line = sprintf("%-9s", "end")
    for (i = 1; i <= shown_count; i++) line = line right(heading(shown_name[i]), 11)
    print line right(horizon_s " s ago", 11) right("off by", 9)
    for (; n > 0; n--) {
        end = ends[n]
        cut = cut || partial[pair, end]
        line = sprintf("%-9s", cell[pair, end, "time"] (partial[pair, end] ? "*" : ""))
        for (i = 1; i <= shown_count; i++) {
            name = shown_name[i]
            value = cell[pair, end, name]
            line = line right(value == "" ? "-" : sprintf(shape(name), value), 11)
        }
        # The forecast of 10 s ago is the one whose answer is known at this candle.
        before = end - horizon_s
        if (((pair, before) in forecast_end) && forecast_end[pair, before] == end) {
            value = cell[pair, before, "predicted_close"]
            line = line right(sprintf("%.2f", value), 11)
            line = line right(sprintf("%+.2f", value - cell[pair, end, "close"]), 9)
        } else {
            line = line right("-", 11) right("-", 9)
        }
        print line
    }
    if (cut) print "* cut short by the end of the recording"
    print ""
}

function errors_print(    p, pair, end, to, which, error, close_now, close_then, key) {
    print "How far the forecasts were from what came (mean absolute error; bp: hundredths of a percent)"
    print ""
    print sprintf("%-9s %-24s", "pair", "windows") right("forecasts", 11) right("model", 11) \
        right("close now", 11) right("model bp", 11) right("now bp", 9)
    for (p = 1; p <= pair_count; p++) {
        pair = pair_name[p]
        for (end = first[pair]; end <= last[pair]; end++) {
            if (!((pair, end) in forecast_end)) continue
            to = forecast_end[pair, end]
            if (!((pair, to) in known) || partial[pair, to] || partial[pair, end]) continue
            # A forecast from inside the trained time about a close behind it belongs to neither.
            if (to < first[pair] + trained_s) which = "trained"
            else if (end >= first[pair] + trained_s) which = "unseen"
            else continue
            close_now = cell[pair, end, "close"]
            close_then = cell[pair, to, "close"]
            error = cell[pair, end, "predicted_close"]
            judged[pair, which]++
            off[pair, which] += distance(error, close_then)
            off_bp[pair, which] += distance(error, close_then) / close_then * 10000
            naive[pair, which] += distance(close_now, close_then)
            naive_bp[pair, which] += distance(close_now, close_then) / close_then * 10000
        }
        error_print(pair, "trained", sprintf("first %d s, trained on", trained_s))
        error_print(pair, "unseen", "after them, not seen")
    }
}

function error_print(pair, which, words,    n) {
    n = judged[pair, which]
    if (!n) {
        print sprintf("%-9s %-24s", pair, words) right("0", 11)
        return
    }
    print sprintf("%-9s %-24s", pair, words) right(n, 11) \
        right(sprintf("%.4f", off[pair, which] / n), 11) \
        right(sprintf("%.4f", naive[pair, which] / n), 11) \
        right(sprintf("%.3f", off_bp[pair, which] / n), 11) \
        right(sprintf("%.3f", naive_bp[pair, which] / n), 9)
}

function distance(a, b) {
    return a > b ? a - b : b - a
}

function right(text, width) {
    return sprintf("%" width "s", " " text)
}

function heading(name) {
    if (name == "macd_signal") return "signal"
    if (name == "macd_hist") return "hist"
    return name == "predicted_close" ? "in " horizon_s " s" : name
}

function shape(name) {
    if (name ~ /^macd/) return "%.4f"
    return name == "volume" ? "%.5f" : "%.2f"
}

function sort_pairs(    i, j, kept) {
    for (i = 2; i <= pair_count; i++) {
        kept = pair_name[i]
        for (j = i - 1; j >= 1 && pair_name[j] > kept; j--) pair_name[j + 1] = pair_name[j]
        pair_name[j + 1] = kept
    }
}

# RFC 3339 in UTC to whole seconds since the epoch. A row's time may stand one microsecond before
# the end of its window, so fractions of .9 and more round up.
function seconds(text,    y, m, d, era, year_of_era, day_of_year, days) {
    y = substr(text, 1, 4) + 0
    m = substr(text, 6, 2) + 0
    d = substr(text, 9, 2) + 0
    # Years that begin in March have their leap day at the end.
    if (m <= 2) y--
    era = int(y / 400)
    year_of_era = y - era * 400
    day_of_year = int((153 * (m > 2 ? m - 3 : m + 9) + 2) / 5) + d - 1
    days = era * 146097 + year_of_era * 365 + int(year_of_era / 4) - int(year_of_era / 100) + \
        day_of_year - 719468
    return days * 86400 + substr(text, 12, 2) * 3600 + substr(text, 15, 2) * 60 + \
        substr(text, 18, 2) + (substr(text, 21, 1) == "9")
}
