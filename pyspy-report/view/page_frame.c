#include "libcommon/escape.h"
#include "pyspy-report/view/page.h"

/* data: for the icon alone, so that no browser asks a server for one. */
static void put_policy(FILE *out, const struct page_asset *style, const struct page_asset *script)
{
	fprintf(out,
	        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-%s'; "
	        "style-src 'sha256-%s'; img-src data:; base-uri 'none'; form-action 'none'; "
	        "require-trusted-types-for 'script'\">\n",
	        script->sha256, style->sha256);
}

void page_head(FILE *out, const struct page_asset *style, const struct page_asset *script, struct buf *title)
{
	struct buf xml;

	buf_init(&xml, 0);
	escape_xml(&xml, buf_cstr(title), title->len);
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", out);
	put_policy(out, style, script);
	fprintf(out,
	        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" "
	        "content=\"no-referrer\">\n<link rel=\"icon\" href=\"data:,\">\n<title>%s</title>\n<style>",
	        buf_cstr(&xml));
	fwrite(style->bytes, 1, style->length, out);
	fputs("</style>\n</head>\n<body>\n", out);
	title->err = title->err ? title->err : xml.err;
	buf_done(&xml);
}

void page_tail(FILE *out, const struct page_asset *script)
{
	fputs("<script type=\"module\">", out);
	fwrite(script->bytes, 1, script->length, out);
	fputs("</script>\n</body>\n</html>\n", out);
}
