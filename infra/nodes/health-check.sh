#!/bin/sh
# Runs `dcgmi diag` on all GPUs of its container and ends by the contract that the recovery decides on:
#
#   0 healthy   1 faulty, a reboot can help   2 no reboot helps   3 misconfigured   4 no answer
#
#   health-check.sh LEVEL SECONDS     level of dcgmi diag, 1 to 4; how long the task may take
#
# One line of JSON on stdout says why. dcgmi's own exit code cannot decide: 226 is any error, also a setting, and 205 also
# "reboot the operating system". Error ids decide; they mean the same in every DCGM since 3.1, severities do not.
# Sources, tables and words: docs/node-scripts.md. Uses what NVIDIA's image has: sh, awk, coreutils.
LC_ALL=C
export LC_ALL
level=$1
bound=$2

# >>> dcgm-errors.csv: UPDATE_NODES=1 cargo test -p tests --test nodes generated
errors_healthy='0 5 10 11 12 16 17 29 34 40 41 42 43 48 60 61 68 69 74 75 76 77 78 117 123 131'
errors_faulty='4 6 9 13 14 15 30 31 33 35 36 38 39 45 50 51 54 56 57 59 62 63 64 65 66 70 71 80 81 83 84 85 99 100 101 103 106 109 110 112 120 122 125 126 127 128 129 132'
errors_no_reboot_helps='3 7 8 52 58 79 86 87 88 95 98 102 104 105 107 111 113 114 115 116 118 119 121'
errors_misconfigured='18 20 23 25 28 46 55 72 96 108'
errors_no_answer='1 2 19 21 22 24 26 27 32 37 44 47 49 53 67 73 82 89 90 91 92 93 94 97 124 130'
# <<< dcgm-errors.csv

# ---------------------------------------------------------------- how it ends

# The last line, for an end that the report does not decide.
finish() { # CODE WHY
  case $1 in
    0) verdict=healthy ;; 1) verdict=faulty ;; 2) verdict=no-reboot-helps ;; 3) verdict=misconfigured ;; *) verdict=no-answer ;;
  esac
  said=$(cat "$work/err" "$work/out" 2>/dev/null | head -c 400 | tr -c ' !#-[]-~' ' ')
  printf '{"verdict":"%s","exit":%s,"why":"%s","dcgm":"%s","level":"%s","dcgmi_exit":"%s","said":"%s"}\n' \
    "$verdict" "$1" "$2" "$version" "$level" "$code" "$said"
  exit "$1"
}
version='' code='' work=''
trap 'finish 4 "stopped before dcgmi had ended"' TERM INT

case $level in [1-4]) ;; *) level=''; finish 4 'the level must be 1 to 4' ;; esac
case $bound in '' | *[!0-9]* | ??????*) finish 4 'the bound must be a number of seconds' ;; esac
[ "$bound" -ge 300 ] || finish 4 'the bound must be 300 seconds at least'

for work in "${TMPDIR:-/tmp}" /tmp /dev/shm /run ''; do
  work=$(mktemp -d "$work/health-check.XXXXXX" 2>/dev/null) && break
done
[ -n "$work" ] || finish 4 'no folder can be written to'

# ---------------------------------------------------------------- running what may hang

# Seconds since the boot: a clock that nobody sets.
# GPU_RECOVERY_ROOT is a tree to read in place of /, for tests; nothing sets it in the container.
uptime() { read -r up _ <"${GPU_RECOVERY_ROOT:-}/proc/uptime" && echo "${up%%.*}"; }
begin=$(uptime)

# Runs a command and leaves its exit code in $code; 1 when it did not end in time. In the background, because nothing
# ends a process in uninterruptible sleep; its output goes to files, because a pipe would be waited for.
within() { # SECONDS COMMAND...
  until_=$(($(uptime) + $1))
  shift
  rm -f "$work/code"
  { "$@" >"$work/out" 2>"$work/err" </dev/null; echo $? >"$work/code.new"; mv "$work/code.new" "$work/code"; } >/dev/null 2>&1 &
  pause=0.05
  while [ ! -e "$work/code" ]; do
    if [ "$(uptime)" -ge "$until_" ]; then
      code=''
      return 1
    fi
    sleep $pause 2>/dev/null || sleep 1
    [ "$(uptime)" -gt $((begin + 3)) ] && pause=1
  done
  code=$(cat "$work/code")
}

# ---------------------------------------------------------------- the engine

# nv-hostengine exits 0 also when it has not started, so the engine is asked itself. dcgmi ends with 235 when nobody
# answers (DoExecuteConnectionFailure in dcgmi/Command.cpp); what else it may say is left to the diagnosis.
engine_answers() {
  within 30 dcgmi discovery -l || finish 1 'hung: the DCGM engine did not answer in 30 s'
  [ "$code" != 235 ]
}

within 10 dcgmi --version || finish 4 'dcgmi --version did not end in 10 s'
[ "$code" = 127 ] && finish 4 'dcgmi is not in this image'
version=$(grep -o '[0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*' "$work/out" | head -n 1)

if ! engine_answers; then
  # Without persistence mode the driver initializes each GPU anew, which takes seconds.
  within 120 nv-hostengine || finish 1 'hung: the DCGM engine did not start in 120 s'
  tries=0
  until engine_answers; do
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || finish 4 'the DCGM engine does not start'
    sleep 1
  done
fi

# ---------------------------------------------------------------- the diagnosis

# Persistence mode says nothing of a GPU. DCGM 4 takes the parameter; the error is no fault in any version.
set -- dcgmi diag -j -r "$level"
case $version in
  [0-3].*) ;;
  *) set -- "$@" -p software.require_persistence_mode=false ;;
esac
seconds=$((begin + bound - 60 - $(uptime)))
[ "$seconds" -ge 60 ] || finish 4 'the DCGM engine took too long to start'
within "$seconds" "$@" || finish 1 "hung: dcgmi diag did not end in $seconds s"

# Reads the report and prints the last line; exits 10 and the contract's code, or 19 when there is no report to read.
# Below 10 are awk's own ends.
judge() {
  awk -v code="$code" -v version="$version" -v level="$level" -v healthy="$errors_healthy" -v faulty="$errors_faulty" \
    -v helpless="$errors_no_reboot_helps" -v config="$errors_misconfigured" -v unclear="$errors_no_answer" '
    # ---- JSON: value["/key/0/key"], and size["/key"] of each list. It may stand behind other lines.
    function fill() {
      while (at > length(text)) {
        if ((getline text) <= 0) { text = ""; return 0 }
        at = 1
      }
      return 1
    }
    function next_char() {
      while (fill()) {
        while (at <= length(text)) {
          if (index(" \t\r", substr(text, at, 1)) == 0) return substr(text, at, 1)
          at++
        }
      }
      return ""
    }
    function string() {
      if (next_char() != "\"" || !match(substr(text, at), /^"([^"\\]|\\.)*"/)) return 0
      token = substr(text, at + 1, RLENGTH - 2)
      at += RLENGTH
      return 1
    }
    function json(path,   char, close_, key, n) {
      char = next_char()
      if (char == "\"") { if (!string()) return 0; value[path] = token; return 1 }
      if (char == "{" || char == "[") {
        close_ = (char == "{") ? "}" : "]"
        at++
        size[path] = 0
        if (next_char() == close_) { at++; return 1 }
        for (n = 0; ; n++) {
          if (char == "{") {
            if (!string()) return 0
            key = token
            if (next_char() != ":") return 0
            at++
          } else key = n
          if (!json(path "/" key)) return 0
          size[path] = n + 1
          key = next_char()
          at++
          if (key == close_) return 1
          if (key != ",") return 0
        }
      }
      if (!match(substr(text, at), /^[-+.0-9a-zA-Z]+/)) return 0
      value[path] = substr(text, at, RLENGTH)
      at += RLENGTH
      return 1
    }

    # ---- what an error means
    function table(list, word,   i, n, ids) {
      n = split(list, ids, " ")
      for (i = 1; i <= n; i++) means[ids[i]] = word
    }
    # As DCGM counts since 3.3; 3.1 and 3.2, where the numbers mean something else, print none.
    function severity(number) {
      if (number == "") return ""
      return (number in severities) ? severities[number] : "UNKNOWN"
    }
    # An id newer than the table goes by its severity; ISOLATE alone does not say that no reboot helps (126 once was new).
    function verdict_of(id, number,   word) {
      if (id in means) return means[id]
      word = severity(number)
      if (word == "MONITOR" || word == "NONE") return "healthy"
      if (word == "ISOLATE" || word == "RESET" || word == "TRIAGE") return "faulty"
      if (word == "CONFIG") return "misconfigured"
      return "no-answer"
    }
    function plain(text) {
      gsub(/\\"/, "\047", text)
      gsub(/\\./, " ", text)
      gsub(/[^ -~]/, "?", text)
      return substr(text, 1, 160)
    }
    function error(id, number, kind, gpu, test, text, counts,   means_) {
      if ((test, id, text) in told && gpu == "") return # the summary says it again
      told[test, id, text] = 1
      # DCGM before 3.3 gives the software tests no id, 3.1 no test; persistence mode is known by its words.
      if (id == "" && text ~ /[Pp]ersistence mode/) id = 29
      # Without an id the bare exit code has to do: with 0 it is a warning (3.3 shows warnings as Fail, with id 0).
      if (id == "" || (id + 0 == 0 && code != 0)) means_ = (code == 0) ? "healthy" : of_code()
      else means_ = verdict_of(id, number)
      # dcgmi heeds errors of the GPUs and of the software only (GetFailureResult in dcgmi/Diag.cpp).
      if (!counts) means_ = "healthy"
      errors++
      if (rank[means_] > rank[worst]) worst = means_
      if (errors <= 32) {
        list = list (errors > 1 ? "," : "") sprintf("{\"id\":\"%s\",\"severity\":\"%s\",\"category\":\"%s\",\"gpu\":\"%s\",\"test\":\"%s\",\"means\":\"%s\",\"text\":\"%s\"}", plain(id), severity(number), plain(kind), plain(gpu), plain(test), means_, plain(text))
      }
    }
    function warnings(path, gpu, test, counts,   n, item, text) {
      if (path "/warnings" in value) { # DCGM 3.1, 3.2 and the software tests of 3.3.1: one text, the id beside it
        error(value[path "/error_id"], value[path "/error_severity"], value[path "/error_category"], gpu, test, value[path "/warnings"], counts)
        return
      }
      for (n = 0; n < size[path "/warnings"]; n++) {
        item = path "/warnings/" n
        if (!(item in size)) continue # null: DCGM 3.3 leaves holes
        # From 3.3.3 on the text of a software test stands under "warnings" again (dcgmi/Diag.cpp).
        text = (item "/warning" in value) ? value[item "/warning"] : value[item "/warnings"]
        error(value[item "/error_id"], value[item "/error_severity"], value[item "/error_category"], gpu, test, text, counts)
      }
    }

    # ---- what a bare exit code means: the low byte of dcgmReturn_t (dcgm_structs.h)
    function of_code() {
      if (code == 205 || code == 226) return "faulty"                # NVVS_ISOLATE_ERROR, NVVS_ERROR
      if (code == 237 || code == 238 || code == 199) return "faulty" # RESET_REQUIRED, GPU_IS_LOST, NVML_DRIVER_TIMEOUT
      return "no-answer"
    }

    BEGIN {
      table(healthy, "healthy"); table(faulty, "faulty"); table(helpless, "no-reboot-helps")
      table(config, "misconfigured"); table(unclear, "no-answer")
      n = split("healthy misconfigured no-answer faulty no-reboot-helps", words, " ")
      for (i = 1; i <= n; i++) rank[words[i]] = i
      split("0 3 4 1 2", exits, " ")
      for (i = 1; i <= n; i++) exit_of[words[i]] = exits[i]
      n = split("MONITOR ISOLATE UNKNOWN TRIAGE CONFIG RESET", words, " ")
      severities[0] = "NONE"
      for (i = 1; i <= n; i++) severities[i] = words[i]

      at = 1
      while (fill() && text !~ /^[ \t]*[{]/) at = length(text) + 1
      if (!json("")) exit 19
      root = ("/DCGM Diagnostic" in size) ? "/DCGM Diagnostic" : "/DCGM GPU Diagnostic"
      if (!(root in size)) exit 19

      # 4.x: /metadata/version; 3.x: /version; with a runtime error: beside it.
      driver = value["/metadata/Driver Version Detected"] value["/Driver Version Detected"]
      reported = value["/metadata/version"] value["/version"] value[root "/version"]
      if (reported != "") version = plain(reported)

      worst = "healthy"
      for (c = 0; c < size[root "/test_categories"]; c++) {
        category = root "/test_categories/" c
        for (t = 0; t < size[category "/tests"]; t++) {
          test = category "/tests/" t
          name = value[test "/name"]
          for (r = 0; r < size[test "/results"]; r++) {
            result = test "/results/" r
            ran[value[result "/status"]]++
            gpu = value[result "/entity_id"] value[result "/gpu_id"] value[result "/gpu_ids"]
            group = value[result "/entity_group_id"] + 0
            if (gpu != "" && group <= 1) tested[gpu] = 1
            # Entity groups (dcgm_fields.h): 0 none, 1 GPU.
            warnings(result, (gpu == "" ? "-" : gpu), name, group <= 1 || value[category "/category"] == "Deployment")
          }
          warnings(test "/test_summary", "", name, 1)
        }
      }

      why = "dcgmi diag passed"
      if (root "/runtime_error" in value) {
        worst = (code == 205 || code == 226) ? "no-answer" : of_code()
        why = "dcgmi could not do its work: " plain(value[root "/runtime_error"])
      } else if (worst != "healthy") why = "dcgmi diag found errors"
      else if (code != 0 && code != 205 && code != 226) { worst = of_code(); why = "dcgmi ended with " code }
      else if (code != 0 && !errors) { worst = of_code(); why = "dcgmi ended with " code " and names no error" }
      else if (!ran["Pass"]) { worst = "no-answer"; why = "no test has run" }
      else if (errors) why = "dcgmi diag passed, with notes"

      for (gpu in tested) gpus++
      printf "{\"verdict\":\"%s\",\"exit\":%d,\"why\":\"%s\",\"dcgm\":\"%s\",\"driver\":\"%s\",\"level\":\"%s\",\"dcgmi_exit\":\"%s\",\"gpus\":%d,\"passed\":%d,\"failed\":%d,\"skipped\":%d,\"errors\":[%s],\"more_errors\":%d}\n", \
        worst, exit_of[worst], why, version, plain(driver), level, code, gpus, ran["Pass"], ran["Fail"], ran["Skip"], list, (errors > 32 ? errors - 32 : 0)
      exit 10 + exit_of[worst]
    }' "$work/out"
}

judge
case $? in
  10) exit 0 ;;
  11) exit 1 ;;
  12) exit 2 ;;
  13) exit 3 ;;
  14) exit 4 ;;
esac

# No report. Design's codes for a bare dcgmi: 226 and 205 are faulty; a lost GPU says so by its code.
case $code in
  205 | 226 | 237 | 238 | 199) finish 1 "dcgmi ended with $code and left no report" ;;
  *) finish 4 "dcgmi ended with $code and left no report that can be read" ;;
esac
