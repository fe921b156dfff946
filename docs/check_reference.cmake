# Fails when FILE is not what PROGRAM prints as FORM.
execute_process(COMMAND ${PROGRAM} ${FORM} OUTPUT_VARIABLE printed RESULT_VARIABLE result)
file(READ ${FILE} kept)
if(NOT result EQUAL 0 OR NOT printed STREQUAL kept)
    message(FATAL_ERROR "${FILE} is out of date: build the target `reference`")
endif()
