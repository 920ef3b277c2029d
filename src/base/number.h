/* Numbers in texts, with a point whatever the locale of the program is. */
#ifndef CLM_BASE_NUMBER_H
#define CLM_BASE_NUMBER_H

/* "12", "0.5", "1e-3", with a sign or without, nothing before it. *end: behind the number; text itself where there is none. Within an ulp for up to
 * 15 digits. */
double clm_number_parse(const char *text, const char **end);

/* Up to that many digits, at most 17, as %g has them; "not finite". */
typedef struct clm_number_name {
    char s[32];
} clm_number_name;
clm_number_name clm_number_text(double value, int digits);

/* From here to clm_numbers_leave this thread prints numbers with a point, whatever the locale of the program is. `place` goes
 * from the one to the other. */
void *clm_numbers_enter(void);
void clm_numbers_leave(void *place);

#endif
