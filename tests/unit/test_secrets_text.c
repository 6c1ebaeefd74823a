/* secrets_text: what is hidden within texts, and what is not. */
#include <stdlib.h>
#include <time.h>

#include "libcommon/utf8.h"
#include "pyspy-record/python/secrets_text.h"
#include "tests/unit/support_test.h"

static struct secrets secrets;

/* The text with # in place of each secret. */
static const char *shown(const char *s, bool is_cut)
{
	static char out[1 << 16];
	static uint32_t text[1 << 16];
	size_t n = 0, used = 0, i = 0, length = strlen(s);
	struct secrets_span span;
	for (size_t at = 0; at < length;)
		at += utf8_next(s + at, length - at, &text[n++]);
	bool more = secrets_next(&secrets, text, n, is_cut, 0, &span);
	while (i < n) {
		if (more && i == span.from) {
			assert_true(span.to > span.from && span.to <= n);
			out[used++] = '#';
			i = span.to;
			more = secrets_next(&secrets, text, n, is_cut, i, &span);
			assert_true(!more || span.from >= i);
			continue;
		}
		used += utf8_put(out + used, text[i++]);
	}
	out[used] = 0;
	return out;
}

static void init(const char *pattern)
{
	char why[64];
	assert_int_equal(secrets_init(&secrets, pattern, why, sizeof why), 0);
}

#define JWT "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

static void hides(void **state)
{
	static const char *const cases[][2] = {
	    {"postgres://ann:s3cret@db.example.com:5432/shop", "postgres://ann:#@db.example.com:5432/shop"},
	    {"redis://:pw@cache/0", "redis://:#@cache/0"},
	    {"see https://u:p@h and http://a:b@c.", "see https://u:#@h and http://a:#@c."},
	    {"mysql+pymysql://u:p@ss@host/db", "mysql+pymysql://u:#@host/db"},
	    {"amqp://u:a/b@host/v", "amqp://u:#@host/v"},
	    {"Authorization: Bearer abc", "Authorization: Bearer #"},
	    {"GET / HTTP/1.1\r\nAuthorization: Basic dXNlcjpwYXNz\r\nHost: x",
	     "GET / HTTP/1.1\r\nAuthorization: Basic #\r\nHost: x"},
	    {"{'Authorization': 'Bearer abc.def'}", "{'Authorization': 'Bearer #'}"},
	    {"Cookie: a=1; session=2\nHost: x", "Cookie: #\nHost: x"},
	    {"curl -H 'Bearer a1b2c3d4e5f6'", "curl -H 'Bearer #'"},
	    {"bearer A1.b-c_d~e+f/g==", "bearer #"},
	    {"password=hunter2", "password=#"},
	    {"host=db user=ann password=hunter two=2", "host=db user=ann password=# two=2"},
	    {"Server=x;Uid=sa;Pwd=abc;Database=d", "Server=x;Uid=sa;Pwd=#;Database=d"},
	    {"/path?token=abc&page=2", "/path?token=#&page=2"},
	    {"?api_key=abc&access-token=def#x", "?api_key=#&access-token=#"},
	    {"{\"password\": \"a b, c\", \"n\": 1}", "{\"password\": \"#\", \"n\": 1}"},
	    {"{\\\"password\\\": \\\"a b\\\", \\\"n\\\": 1}", "{\\\"password\\\": \\\"#\\\", \\\"n\\\": 1}"},
	    {"{'db_password': 'x y', 'user': 'ann'}", "{'db_password': '#', 'user': 'ann'}"},
	    {"{b'secret': b'x y'}", "{b'secret': b'#'}"},
	    {"connect(user='ann', password='it is')", "connect(user='ann', password='#')"},
	    {"password: hunter2, and more", "password: #, and more"},
	    {"user: ann\npassword: correcthorse\nport: 1", "user: ann\npassword: #\nport: 1"},
	    {"X-Api-Key: 0a1b2c", "X-Api-Key: #"},
	    {"export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "export AWS_SECRET_ACCESS_KEY=#"},
	    {"id AKIAIOSFODNN7EXAMPLE here", "id # here"},
	    {"token ghp_0123456789abcdefghijABCDEFGHIJ012345", "token #"},
	    {"key sk-abcdefghijklmnopqrstuvwxyz0123456789ABCD.", "key #."},
	    {"slack xoxb-123456789012-abcdefghijkl", "slack #"},
	    {"got " JWT " from x", "got # from x"},
	    {"-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc=\n-----END RSA PRIVATE KEY-----\nrest",
	     "-----BEGIN RSA PRIVATE KEY-----#-----END RSA PRIVATE KEY-----\nrest"},
	    {"-----BEGIN PRIVATE KEY-----\nMIIE", "-----BEGIN PRIVATE KEY-----#"},
	    {"password=\xe2\x82\xac\xe2\x82\xac x", "password=# x"},
	    {"--password=abc --token=def", "--password=# --token=#"},
	    {"password => 'abc'", "password => '#'"},
	};
	init(SECRETS_DEFAULT);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(shown(cases[i][0], false), cases[i][1]);
	secrets_done(&secrets);
}

static void shows(void **state)
{
	static const char *const cases[] = {
	    "",
	    "=",
	    ":",
	    "://",
	    "a://",
	    "password",
	    "password:",
	    "password=",
	    "password = ",
	    "a=1",
	    "The password: must be at least 8 characters",
	    "Enter password: ",
	    "Unexpected token: <",
	    "unexpected token: foo at 3",
	    "max_tokens=4096",
	    "tokens: 12",
	    "tokenizer=bpe",
	    "secretary=ann",
	    "author=Smith",
	    "Author: Ann Smith",
	    "authority: high",
	    "password=%s",
	    "password={password}",
	    "password=${PASS}",
	    "password=***",
	    "password=None",
	    "token == other",
	    "PWD=/home/ann",
	    "http://host:8080/path@2x.png",
	    "http://host:8080/",
	    "https://example.com/a:b",
	    "mailto:ann@example.com",
	    "ssh://git@github.com/x.git",
	    "git@github.com:ann/x.git",
	    "bearer of bad news",
	    "Bearer certificates",
	    "basic understanding of it",
	    "Basic English",
	    "eyJ",
	    "eyJust a word",
	    "eyJhbGciOiJIUzI1NiJ9",
	    "BEGIN PRIVATE KEY",
	    "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
	    "-----BEGIN PUBLIC KEY-----\nMIIE",
	    "AKIA",
	    "AKIAIOSFODNN7EXAMPL",
	    "AKIAIOSFODNN7EXAMPLES",
	    "asia-southeast1-docker",
	    "sk-learn",
	    "sk-",
	    "risk-abcdefghijklmnopqrstuvwxyz0123456789ABCD",
	    "ghp_short",
	    "the key: value pairs",
	    "keyboard=us",
	    "monkey=1",
	    "primary_key=12",
	    "foreign key: x",
	    "time 12:30:45",
	    "a::b",
	    "C:\\dir",
	    "x-y: z",
	    "{'a': 1}",
	    "cookie=5",
	    "Cookies: none",
	    "passwordless=1",
	    "hidden=<hidden>",
	    "password=<hidden>",
	    "token_type: bearer",
	    "SELECT token FROM t WHERE a = 'b'",
	};
	init(SECRETS_DEFAULT);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(shown(cases[i], false), cases[i]);
	secrets_done(&secrets);
	secrets_next(NULL, NULL, 0, false, 0, NULL); /* nothing is on */
}

/* A text that goes on behind what was read: what may be the beginning of a secret is one. */
static void cut(void **state)
{
	static const char *const cases[][2] = {
	    {"postgres://ann:s3cr", "postgres://ann:#"},
	    {"password=hun", "password=#"},
	    {"Bearer abc", "Bearer #"},
	    {"x eyJhbGciOiJIU", "x #"},
	    {"-----BEGIN PRIVATE KEY-----\nMI", "-----BEGIN PRIVATE KEY-----#"},
	    {"AKIAIOSF", "#"},
	    {"ghp_012345", "#"},
	    {"{\"token\": \"ab", "{\"token\": \"#"},
	    {"plain text of", "plain text of"},
	    {"http://host/pa", "http://host/pa"},
	};
	init(SECRETS_DEFAULT);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(shown(cases[i][0], true), cases[i][1]);
	secrets_done(&secrets);
}

static void own(void **state)
{
	init("colour");
	assert_string_equal(shown("colour=red password=x", false), "colour=# password=#");
	assert_true(secrets_is_name(&secrets, "my_colour", 9));
	secrets_done(&secrets);
	init(SECRETS_DEFAULT);
	assert_string_equal(shown("colour=red", false), "colour=red");
	assert_true(secrets_hides(&secrets, "authorization", 13) && secrets_hides(&secrets, "auth", 4) &&
	            secrets_hides(&secrets, "auth_key", 8));
	assert_true(!secrets_hides(&secrets, "author", 6) && !secrets_hides(&secrets, "authors", 7) &&
	            secrets_hides(&secrets, "API-KEY", 7));
	secrets_done(&secrets);
}

/* Any text: spans are in order, and it takes no time that grows faster than the text. */
static void any(void **state)
{
	static const char *const pieces[] = {
	    "password",         "=",  ":",  "://",      " ",    "'", "\"", "Bearer ", "eyJ", "a", "@", "-----BEGIN ",
	    "PRIVATE KEY-----", "\\", "\n", "Cookie: ", "AKIA", "0"};
	static char text[1 << 16];
	srand(1);
	init(SECRETS_DEFAULT);
	for (int round = 0; round < 300; round++) {
		size_t n = 0, most = round < 290 ? 400 : sizeof text - 32;
		while (n < most)
			n += (size_t)sprintf(text + n, "%s", pieces[rand() % (int)(sizeof pieces / sizeof *pieces)]);
		text[n] = 0;
		shown(text, round % 2);
	}
	clock_t begin = clock();
	for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) { /* each one over and over */
		size_t n = 0;
		while (n < sizeof text - 32)
			n += (size_t)sprintf(text + n, "%s", pieces[k]);
		text[n] = 0;
		shown(text, true);
	}
	assert_true(clock() - begin < 4 * CLOCKS_PER_SEC);
	secrets_done(&secrets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hides), cmocka_unit_test(shows), cmocka_unit_test(cut),
	    cmocka_unit_test(own),   cmocka_unit_test(any),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
