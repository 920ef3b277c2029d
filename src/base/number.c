#include "base/number.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_digit(char c) { return isdigit((unsigned char)c); }

double clm_number_parse(const char *text, const char **end) {
    const char *at = text;
    double value = 0;
    int digits = 0, power = 0;
    const bool negative = *at == '-';
    if (*at == '-' || *at == '+') at++;
    for (; is_digit(*at); at++, digits++) value = 10 * value + (*at - '0');
    if (*at == '.' && (digits || is_digit(at[1])))
        for (at++; is_digit(*at); at++, digits++, power--) value = 10 * value + (*at - '0');
    *end = digits ? at : text;
    if (!digits) return 0;
    if ((*at == 'e' || *at == 'E') && (is_digit(at[1]) || ((at[1] == '-' || at[1] == '+') && is_digit(at[2])))) {
        const long exponent = strtol(at + 1, (char **)&at, 10); /* whole numbers have no locale */
        power += exponent > 400 ? 400 : exponent < -400 ? -400 : (int)exponent;
        *end = at;
    }
    value = power < 0 ? value / pow(10, -power) : value * pow(10, power);
    return negative ? -value : value;
}

clm_number_name clm_number_text(double value, int digits) {
    clm_number_name text = {"not finite"};
    if (isfinite(value)) snprintf(text.s, sizeof text.s, "%.*g", digits, value);
    return text;
}

void *clm_numbers_enter(void) {
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return plain ? (void *)uselocale(plain) : NULL;
}

void clm_numbers_leave(void *place) {
    if (place) freelocale(uselocale((locale_t)place));
}
