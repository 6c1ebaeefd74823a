#include "pyspy-record/front/front_completions.h"

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/front/front_commands.h"

/* Texts of our own tables only: each shell has its way with quotes. */
static void put_quoted(FILE *out, const char *text, const char *for_quote, const char *escaped)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs(for_quote, out);
		else if (*text == '\n')
			fputc(' ', out);
		else if (strchr(escaped, *text))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

static bool is_shown(const struct arg_option *o)
{
	return o->help != NULL;
}

static bool is_file(const struct arg_option *o)
{
	return o->id == FRONT_OUTPUT || o->id == FRONT_CORE;
}

static void put_formats(FILE *out)
{
	for (const struct front_format *f = front_formats; f->name; f++)
		fprintf(out, "%s%s", f == front_formats ? "" : " ", f->name);
}

/* "-p --pid -f --format ...", with `between`, of all options or those that take a value that is neither a file nor a
 * format. */
static void put_names(FILE *out, const struct front_command *c, bool with_values_only, const char *between)
{
	const char *before = "";
	for (const struct arg_option *o = c->options; o->id; o++) {
		if (!is_shown(o) || (with_values_only && (!o->value_name || is_file(o) || o->id == FRONT_FORMAT)))
			continue;
		if (o->short_name)
			fprintf(out, "%s-%c", before, o->short_name);
		if (o->short_name)
			before = between;
		fprintf(out, "%s--%s", before, o->long_name);
		before = between;
	}
}

static void write_bash(FILE *out)
{
	fputs("# bash completions for pyspy: source it, or keep it as\n"
	      "# ~/.local/share/bash-completion/completions/pyspy\n"
	      "_pyspy() {\n"
	      "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= words= i\n"
	      "    COMPREPLY=()\n"
	      "    if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
	      "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "        [[ ${COMP_WORDS[i]} == -- ]] && return\n"
	      "        [[ -z $command && ${COMP_WORDS[i]} != -* ]] && command=${COMP_WORDS[i]}\n"
	      "    done\n"
	      "    case $command,$prev in\n"
	      "    record,-f | record,--format) words='",
	      out);
	put_formats(out);
	fputs("' ;;\n    *,-o | *,--output | *,-c | *,--core) return ;;\n", out);
	for (const struct front_command *c = front_commands; c->name; c++) {
		fputs("    ", out);
		for (const struct arg_option *o = c->options; o->id; o++)
			if (is_shown(o) && o->value_name && !is_file(o) && o->id != FRONT_FORMAT) {
				if (o->short_name)
					fprintf(out, "%s,-%c | ", c->name, o->short_name);
				fprintf(out, "%s,--%s | ", c->name, o->long_name);
			}
		fprintf(out, "%s,=) return ;;\n    %s,*) words='", c->name, c->name);
		put_names(out, c, false, " ");
		fprintf(out, "'; [[ $cur == -* ]] || words='%s' ;;\n", c->words ? c->words : "");
	}
	fputs("    ,*) words='", out);
	for (const struct front_command *c = front_commands; c->name; c++)
		fprintf(out, "%s ", c->name);
	fputs("--help --version' ;;\n"
	      "    esac\n"
	      "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	      "}\n"
	      "complete -F _pyspy -o bashdefault -o default pyspy\n",
	      out);
}

/* '(-p --pid)'{-p+,--pid=}'[what it is]:PID:' */
static void put_zsh_option(FILE *out, const struct arg_option *o)
{
	const char *repeat = o->id == FRONT_LOCALS ? "*" : "";

	if (o->short_name && !*repeat)
		fprintf(out, "'(-%c --%s)'", o->short_name, o->long_name);
	if (o->short_name)
		fprintf(out, "%s{-%c%s,--%s%s}'", *repeat ? "\\*" : "", o->short_name, o->value_name ? "+" : "",
		        o->long_name, o->value_name ? "=" : "");
	else
		fprintf(out, "'--%s%s", o->long_name, o->value_name ? "=" : "");
	fputc('[', out);
	put_quoted(out, o->help, "'\\''", "[]:\\");
	fputc(']', out);
	if (o->value_name) {
		fprintf(out, ":%s:", o->value_name);
		if (is_file(o))
			fputs("_files", out);
		if (o->id == FRONT_FORMAT) {
			fputc('(', out);
			put_formats(out);
			fputc(')', out);
		}
	}
	fputs("'", out);
}

static void write_zsh(FILE *out)
{
	fputs("#compdef pyspy\n"
	      "# zsh completions for pyspy: keep it as _pyspy in a folder of $fpath\n"
	      "_pyspy() {\n"
	      "    local curcontext=$curcontext state line\n"
	      "    typeset -A opt_args\n"
	      "    _arguments -C '(- *)'{-h,--help}'[help]' '(- *)'{-V,--version}'[the version]' \\\n"
	      "        '1:command:->command' '*::argument:->argument'\n"
	      "    case $state in\n"
	      "    command)\n"
	      "        local -a commands=(\n",
	      out);
	for (const struct front_command *c = front_commands; c->name; c++) {
		fprintf(out, "            '%s:", c->name);
		put_quoted(out, c->summary, "'\\''", ":\\");
		fputs("'\n", out);
	}
	fputs("        )\n"
	      "        _describe -t commands command commands ;;\n"
	      "    argument)\n"
	      "        case $words[1] in\n",
	      out);
	for (const struct front_command *c = front_commands; c->name; c++) {
		fprintf(out, "        %s) _arguments -s -S", c->name);
		for (const struct arg_option *o = c->options; o->id; o++)
			if (is_shown(o)) {
				fputs(" \\\n            ", out);
				put_zsh_option(out, o);
			}
		if (c->words)
			fprintf(out, " \\\n            ':word:(%s)'", c->words);
		else if (strcmp(c->name, "dump") != 0)
			fputs(" \\\n            '*::program:_normal'", out);
		fputs(" ;;\n", out);
	}
	fputs("        esac ;;\n"
	      "    esac\n"
	      "}\n"
	      "if [ \"$funcstack[1]\" = _pyspy ]; then _pyspy \"$@\"; else compdef _pyspy pyspy; fi\n",
	      out);
}

static void write_fish(FILE *out)
{
	fputs("# fish completions for pyspy: keep it as ~/.config/fish/completions/pyspy.fish\n"
	      "complete -c pyspy -n __fish_use_subcommand -s h -l help -d 'help'\n"
	      "complete -c pyspy -n __fish_use_subcommand -s V -l version -d 'the version'\n",
	      out);
	for (const struct front_command *c = front_commands; c->name; c++) {
		fprintf(out, "complete -c pyspy -n __fish_use_subcommand -f -a %s -d '", c->name);
		put_quoted(out, c->summary, "\\'", "\\");
		fputs("'\n", out);
		if (c->words)
			fprintf(out, "complete -c pyspy -n '__fish_seen_subcommand_from %s' -f -a '%s'\n", c->name,
			        c->words);
		for (const struct arg_option *o = c->options; o->id; o++) {
			if (!is_shown(o))
				continue;
			fprintf(out, "complete -c pyspy -n '__fish_seen_subcommand_from %s' -l %s", c->name,
			        o->long_name);
			if (o->short_name)
				fprintf(out, " -s %c", o->short_name);
			if (o->value_name)
				fputs(is_file(o) ? " -r -F" : " -x", out);
			if (o->id == FRONT_FORMAT) {
				fputs(" -a '", out);
				put_formats(out);
				fputs("'", out);
			}
			fputs(" -d '", out);
			put_quoted(out, o->help, "\\'", "\\");
			fputs("'\n", out);
		}
	}
}

/* The same shape for elvish and PowerShell: a candidate with a description. */
static void put_candidates(FILE *out, const struct front_command *c, const char *before, const char *between,
                           const char *after)
{
	for (const struct arg_option *o = c ? c->options : NULL; o && o->id; o++) {
		if (!is_shown(o))
			continue;
		for (int i = o->short_name ? 0 : 1; i < 2; i++) {
			fputs(before, out);
			if (i == 0)
				fprintf(out, "-%c", o->short_name);
			else
				fprintf(out, "--%s", o->long_name);
			fputs(between, out);
			put_quoted(out, o->help, "''", "");
			fputs(after, out);
		}
	}
	for (const struct front_command *k = c ? NULL : front_commands; k && k->name; k++) {
		fprintf(out, "%s%s%s", before, k->name, between);
		put_quoted(out, k->summary, "''", "");
		fputs(after, out);
	}
}

static void write_elvish(FILE *out)
{
	fputs("# elvish completions for pyspy: eval (pyspy completions elvish | slurp)\n"
	      "set edit:completion:arg-completer[pyspy] = {|@words|\n"
	      "  fn cand {|text what| edit:complex-candidate $text &display=$text'  '$what }\n"
	      "  var command = ''\n"
	      "  if (> (count $words) 2) { set command = $words[1] }\n"
	      "  var all = [\n"
	      "    &''={\n",
	      out);
	put_candidates(out, NULL, "      cand ", " '", "'\n");
	fputs("    }\n", out);
	for (const struct front_command *c = front_commands; c->name; c++) {
		fprintf(out, "    &'%s'={\n", c->name);
		put_candidates(out, c, "      cand ", " '", "'\n");
		if (c->words)
			fprintf(out, "      put %s\n", c->words);
		else
			fputs("      edit:complete-filename $words[-1]\n", out);
		fputs("    }\n", out);
	}
	fputs("  ]\n"
	      "  if (has-key $all $command) { $all[$command] }\n"
	      "}\n",
	      out);
}

static void write_powershell(FILE *out)
{
	fputs("# PowerShell completions for pyspy: pyspy completions powershell | Out-String | Invoke-Expression\n"
	      "Register-ArgumentCompleter -Native -CommandName 'pyspy' -ScriptBlock {\n"
	      "    param($wordToComplete, $commandAst, $cursorPosition)\n"
	      "    $words = @($commandAst.CommandElements | ForEach-Object { $_.ToString() })\n"
	      "    $command = ''\n"
	      "    if ($words.Count -gt 2 -or ($words.Count -eq 2 -and $wordToComplete -eq '')) { $command = $words[1] "
	      "}\n"
	      "    $all = switch ($command) {\n"
	      "        '' {\n",
	      out);
	put_candidates(out, NULL, "            , @('", "', '", "')\n");
	fputs("        }\n", out);
	for (const struct front_command *c = front_commands; c->name; c++) {
		fprintf(out, "        '%s' {\n", c->name);
		put_candidates(out, c, "            , @('", "', '", "')\n");
		if (c->words) {
			fputs("            '", out);
			for (const char *w = c->words; *w; w++)
				fputs(*w == ' ' ? "', '" : (char[]){*w, 0}, out);
			fputs("' | ForEach-Object { , @($_, $_) }\n", out);
		}
		fputs("        }\n", out);
	}
	fputs("    }\n"
	      "    $all | Where-Object { $_[0] -like \"$wordToComplete*\" } | ForEach-Object {\n"
	      "        [System.Management.Automation.CompletionResult]::new($_[0], $_[0], 'ParameterValue', $_[1])\n"
	      "    }\n"
	      "}\n",
	      out);
}

int front_completions_write(FILE *out, const char *shell)
{
	static const struct {
		const char *shell;
		void (*write)(FILE *out);
	} all[] = {{"bash", write_bash},
	           {"elvish", write_elvish},
	           {"fish", write_fish},
	           {"powershell", write_powershell},
	           {"zsh", write_zsh}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(all[i].shell, shell)) {
			all[i].write(out);
			return 0;
		}
	return ERR_USAGE;
}
