-- The furniture of these texts changed: everything verified with them is verified again. ARGV: texts.
for i = 1, #ARGV do touch(ARGV[i]) end
return #ARGV
